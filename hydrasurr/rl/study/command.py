"""`hydrasurr design study`: stages, report, and the main numbers on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from hydrasurr.rl.study.figures import NAMES
from hydrasurr.rl.study.report import write_report
from hydrasurr.rl.study.settings import load_study
from hydrasurr.rl.study.study import Study
from hydrasurr.tables import significant


def run_study(path: str | None, quick: bool, overrides: list[str] | None, out: Path, force: bool) -> Path:
    """Make a study, or go on with it, and print what was found; the path of its report."""
    study = Study(load_study(path, quick, overrides), out, force=force)
    _print_numbers(write_report(study.settings, study.folder, study.run()))
    return study.folder.report


def _print_numbers(numbers: dict[str, Any]) -> None:
    console = Console(highlight=False)
    scaling = _table("learners x actors", "actions/s", "speed-up", "Eq. 1", "utilisation")
    for point in numbers["scaling"]["points"]:
        cells = [f"{point['learners']} x {point['actors']}", significant(point["rate"]["value"])]
        cells += [
            f"{point['speedup']['value']:.2f}",
            f"{point['efficiency']['value']:.0%}",
            f"{point['utilisation']:.0%}",
        ]
        scaling.add_row(*cells)
    console.print(scaling)
    ablations = _table("", "actions/s", "CDR a frame", "CDR a second", "final objective", "CPI")
    for variant, facts in numbers["ablations"].items():
        cells = [NAMES[variant], significant(facts["rate"]["value"])]
        for key in ("per_frame", "per_second"):
            cdr = facts["convergence"][key]["cdr"]
            cells.append("-" if cdr is None else f"{cdr:.0f}%")
        cpi = numbers["index"][variant]["cpi"]
        ablations.add_row(*cells, significant(facts["final"]["mean"]), "-" if cpi is None else f"{cpi:.3f}")
    console.print(ablations)
    faults = _table("fault", "survived", "throughput", "recovery, s")
    for fault, facts in numbers["faults"]["baseline"].items():
        recovery = facts.get("recovery")
        throughput = f"{facts['throughput']:.0%}" if facts["recovered"] else "-"
        survived = f"{facts['recovered']} of {facts['runs']}"
        faults.add_row(fault.replace("_", " "), survived, throughput, "-" if recovery is None else f"{recovery:.1f}")
    console.print(faults)


def _table(first: str, *columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(first)
    for name in columns:
        table.add_column(name, justify="right")
    return table
