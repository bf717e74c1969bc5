"""The results of a study of rock salt side by side, as report.json has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from hydrasurr.md.nacl.model import KINDS
from hydrasurr.md.nacl.settings import NaClStudy
from hydrasurr.md.nacl.study import AGAIN, GRAPH, NONE, P3M, REFERENCE
from hydrasurr.md.study.fidelity import deviation, difference
from hydrasurr.md.study.stages import Result
from hydrasurr.tables import coefficient, significant

MEANS = ("temperature", "potential_energy", "pressure", "drift")
KJ_PER_MOL = 96.48533212
"""1 eV, by the charge of the electron and Avogadro's number."""
GUESS = 10.0
"""X. Shen et al., PNNL-38353 (2025), summary and Fig. 14: a surrogate in place of reciprocal space is predicted to be
an order of magnitude faster."""


def summary(study: NaClStudy, results: Mapping[str, Result]) -> dict[str, Any]:
    """All figures by format, stand-in and system size. JSON.

    `dynamics` has for each run its means, their `differences` from the reference (with a standard error) and those of
    the three g(r); energies of stand-ins are less their constant. What `again` differs by is chance.
    """
    stand_ins = [name.removeprefix("md-") for name in results if name.startswith("md-")]
    reference = results["reference"]
    return {
        "madelung": _madelung(results["madelung"].facts),
        "reference": reference.facts,
        "fit": _fit(results["fit"]),
        "bytes": results["export"].facts["bytes"],
        "forces": {name: results[f"forces-{name}"].facts for name in study.formats},
        "damping": {name: value for name, value in results["damping"].facts.items() if name != "seconds"},
        "bound": {name: value for name, value in results["bound"].facts.items() if name != "seconds"},
        "fits": {name: _fit(results[f"fit-{name}"]) for name in study.learned},
        "graph": results["fit-graph"].facts if study.graph else None,
        "far": {name: results[f"far-{name}"].facts for name in far_names(study)},
        "pppm": {k: v for k, v in results["pppm"].facts.items() if k != "seconds"} if "pppm" in results else None,
        "dynamics": {name: _dynamics(name, results) for name in stand_ins},
        "scaling": [result.facts for name, result in results.items() if name.startswith("scaling-")],
        "answer": answer(study, results),
        "seconds": {name: result.facts["seconds"] for name, result in results.items()},
    }


def far_names(study: NaClStudy) -> tuple[str, ...]:
    """All that stands for the far part."""
    return (P3M, NONE, *study.stand_ins, *((GRAPH,) if study.graph else ()))


def cutoff_of(study: NaClStudy, name: str) -> float:
    """Of a stand-in that has a table, Angstrom."""
    return float(name.removeprefix("dsf-")) if name.startswith("dsf-") else study.learned[name].fit.cutoff


def answer(study: NaClStudy, results: Mapping[str, Result]) -> dict[str, Any]:
    """What a learned far part gains and costs, at the largest size.

    `speedup` by cutoff of a table of everything, and of PPPM by its accuracy, over the reference in LAMMPS; `error`
    (eV/Angstrom) of forces on held-out frames of the crystal; `best_learned` and `best_dsf` the names with the least.
    `network` is the time in torch of a pair network over that of the far part, both in FP32 and at the study's cutoff.
    `most`: what would be gained if reciprocal space cost nothing, with the near part in a table. `kspace_only`: a table
    of everything over a table of all but reciprocal space, at the same cutoff.
    """
    errors = {name: results[f"far-{name}"].facts["places"]["crystal"]["force"] for name in far_names(study)}
    found: dict[str, Any] = {
        "error": errors,
        "best_learned": min(study.learned, key=errors.__getitem__, default=None),
        "best_dsf": min((name for name in errors if name.startswith("dsf-")), key=errors.__getitem__, default=None),
        "guess": GUESS,
    }
    sizes = [result.facts for name, result in results.items() if name.startswith("scaling-")]
    found["ions"] = sizes[-1]["ions"]
    found["network"] = sizes[-1]["torch"]["short fp32"] / sizes[-1]["torch"]["far fp32"]
    if "lammps" not in sizes[-1]:
        return found
    total = {name: sum(parts.values()) for name, parts in sizes[-1]["lammps"].items()}
    near = f"near table {study.accuracy:g}"
    kspace = sizes[-1]["lammps"][near]["k-space"]
    return {
        **found,
        "speedup": {name: total["reference"] / time for name, time in total.items()},
        "most": total[near] / (total[near] - kspace),
        "kspace_only": {name: total[near] / time for name, time in total.items()},
        "pppm_error": {name: value for name, value in results["pppm"].facts.items() if name != "seconds"},
    }


def _fit(result: Result) -> dict[str, Any]:
    return {**result.facts, "history": result.arrays["history"].tolist()}


def _madelung(facts: Mapping[str, Any]) -> dict[str, Any]:
    exact = facts["exact"]
    errors = {"ewald": facts["ewald"] - exact} | {f"p3m {name}": value - exact for name, value in facts["p3m"].items()}
    return {"exact": exact, "ewald": facts["ewald"], "p3m": facts["p3m"], "errors": errors}


def _dynamics(name: str, results: Mapping[str, Result]) -> dict[str, Any]:
    run, reference = results[f"md-{name}"], results[f"md-{REFERENCE}"]
    if "failed" in run.facts:
        return run.facts
    facts = dict(run.facts)
    if f"far-{name}" in results:
        energy = facts["potential_energy"]
        facts["potential_energy"] = {**energy, "mean": energy["mean"] - results[f"far-{name}"].facts["constant"]}
    if name == REFERENCE:
        return facts
    facts["differences"] = {key: difference(facts[key], reference.facts[key]) for key in MEANS}
    pairs = zip(KINDS, run.arrays["g"], reference.arrays["g"], strict=True)
    return {**facts, "g": {kind: deviation(mine, theirs) for kind, mine, theirs in pairs}}


def print_summary(numbers: Mapping[str, Any]) -> None:
    """Print the main figures to standard output."""
    console = Console(highlight=False)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for k, name in enumerate(("short range", "bytes", "R² |F|", "RMSE", "lattice", "U", "P", "Δg")):
        table.add_column(name, justify="right" if k else "left", no_wrap=True)
    table.add_row("", "", "", "meV/Å", "eV/NaCl", "meV/ion", "bar", "", style="dim")
    for name in (REFERENCE, AGAIN, *numbers["forces"]):
        run, forces, cells = numbers["dynamics"][name], numbers["forces"].get(name), ["", "", "", ""]
        if forces:
            cells = [f"{numbers['bytes'][name]['weights']:,}", coefficient(forces["r2"])]
            cells += [significant(1000 * forces["component_rmse"]), f"{forces['lattice_energy']:.4f}"]
        elif name == REFERENCE:
            cells[3] = f"{numbers['reference']['lattice_energy']:.4f}"
        table.add_row(name, *cells, *_run_cells(run))
    console.print(table)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    places = list(numbers["far"][P3M]["places"])
    for k, name in enumerate(("k-space by", *places, "P", "Δg")):
        table.add_column(name, justify="right" if k else "left", no_wrap=True)
    table.add_row("", *["meV/Å"] * len(places), "bar", "", style="dim")
    for name, far in numbers["far"].items():
        errors = [significant(1000 * far["places"][place]["force"]) for place in places]
        run = numbers["dynamics"].get(name)
        table.add_row(name, *errors, *(_run_cells(run)[1:] if run else [""] * 2))
    console.print(table)
    found = numbers["answer"]
    if "speedup" in found:
        speeds = ", ".join(f"{name} {value:.2f}x" for name, value in found["speedup"].items() if name != REFERENCE)
        console.print(f"speed at {found['ions']:,} ions over the reference: {speeds}", soft_wrap=True)


def _run_cells(run: Mapping[str, Any]) -> list[str]:
    if "failed" in run:
        return ["failed", "", ""]
    g = run["g"]["Na-Cl"]["g_max_deviation"] if "g" in run else None
    return [significant(run["potential_energy"]["mean"]), significant(run["pressure"]["mean"]), significant(g)]
