"""`report.html` and `report.json` of a study of distributed agents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from hydrasurr.rl.study import measured_sections as measured
from hydrasurr.rl.study import simulated_sections as simulated
from hydrasurr.rl.study.cells import counted, percent, shape_text
from hydrasurr.rl.study.folder import Facts, StudyFolder
from hydrasurr.rl.study.settings import StudyConfig
from hydrasurr.rl.study.summary import Summary
from hydrasurr.rl.study.variants import ablation_shape
from hydrasurr.tables import duration, significant
from hydrasurr.training import page

SOURCE = (
    "M. Zielinski, Accelerating Quantum Chemistry Simulations Using GPU-Optimized Deep Reinforcement Learning "
    "Algorithms (2025)"
)


def write_report(settings: StudyConfig, folder: StudyFolder, found: dict[str, Facts]) -> dict[str, Any]:
    """Write both files, and return what report.json holds."""
    environment = json.loads(folder.environment.read_text())
    summary = Summary(settings, found, environment)
    sections = {
        "Scaling": measured.scaling(summary),
        "Iterations": measured.iterations(summary),
        "Ablations": measured.ablations(summary),
        "Faults": measured.faults(summary),
        "Performance index": measured.index(summary),
        "Load": simulated.load(summary),
        "Bottlenecks": simulated.bottlenecks(summary),
        "More ranks": simulated.more_ranks(summary),
        "Method": _method(summary),
    }
    version = str(environment.get("hydrasurr", ""))
    html = page.page("Distributed design: study report", _header(summary, sections), sections, version)
    whole = {"environment": environment, "settings": settings.model_dump(mode="json"), **summary.numbers}
    folder.write_report(html, whole)
    return whole


def _header(summary: Summary, sections: Mapping[str, str]) -> str:
    study = summary.study
    last = [point for point in summary.points if point["learners"] == 1][-1]
    baseline, index = summary.numbers["ablations"]["baseline"], summary.numbers["index"]["baseline"]
    shape = shape_text(vars(ablation_shape(study)))
    tiles = [
        ("throughput", significant(last["rate"]["value"]), "actions/s", f"{counted(last['actors'], 'actor')}"),
        ("speed-up", f"{last['speedup']['value']:.2f}", "", f"{counted(last['actors'], 'actor')} over one"),
        ("parallel efficiency", percent(last["efficiency"]["value"]), "", f"Eq. 1, {counted(last['actors'], 'actor')}"),
        ("utilisation", percent(baseline["utilisation"]), "", f"Eq. 12, {shape} processes"),
        ("robustness R", "-" if index["robustness"] is None else f"{index['robustness']:.2f}", "", "of Eq. 14"),
        ("CPI", "-" if index["cpi"] is None else f"{index['cpi']:.2f}", "", "Eq. 14, baseline"),
    ]
    subtitle = (
        f"{study.design.learner.type}, {study.design.frames:,} actions a run, {counted(len(study.seeds), 'seed')}, on "
        f"{counted(summary.environment['cores'], 'core')} of this machine; the measures are those of {SOURCE}"
    )
    return f"""<p class="kicker">hydrasurr study report</p>
<h1>What distribution gains and what faults cost</h1>
<p class="subtitle">{escape(subtitle)}</p>
{page.links(sections)}
{page.tiles(tiles, main=len(tiles))}"""


def _method(summary: Summary) -> str:
    seconds = summary.numbers["seconds"]
    facts = {"time in all": duration(sum(seconds.values())), "source of the measures": SOURCE}
    longest = sorted(seconds.items(), key=lambda item: -item[1])
    stages = page.table(["stage", "time"], [[escape(name), duration(taken)] for name, taken in longest], numeric=1)
    environment = {key: page.sentence(value) or "none" for key, value in summary.environment.items()}
    return f"""{page.facts(facts)}
<details><summary>Time of each stage</summary>{stages}</details>
<details><summary>Settings</summary><pre>{escape(summary.study.model_dump_json(indent=2))}</pre></details>
<details><summary>Environment</summary>{page.facts(environment)}</details>"""
