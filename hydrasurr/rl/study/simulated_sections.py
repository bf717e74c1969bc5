"""Sections of the report that hold simulations: load of workers, bottlenecks, and more ranks than there are."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from hydrasurr.rl.study import bottleneck_figures, figures
from hydrasurr.rl.study.cells import (
    MEASURED,
    MINUS,
    SIMULATED,
    counted,
    percent,
    shape_text,
    signed,
    variant_cell,
)
from hydrasurr.rl.study.communication import Links
from hydrasurr.rl.study.summary import Summary
from hydrasurr.rl.study.variants import fault_shape
from hydrasurr.scaling.network import find_network
from hydrasurr.scaling.table import bytes_text
from hydrasurr.tables import significant
from hydrasurr.training import page

PUBLISHED = {
    "hierarchical all-reduce": (f"{MINUS}37", "+5.2"),
    "gradient compression": (f"{MINUS}28", "+3.7"),
    "adaptive scheduling": (f"{MINUS}47", "+7.9"),
    "asynchronous prefetch": (f"{MINUS}21", "+2.6"),
}
"""Table 2 of the paper: change of the bottleneck in per cent, and of the utilisation in points."""

# -- load ------------------------------------------------------------------------------------------------


def load(summary: Summary) -> str:
    simulated, settings = summary.found["schedulers"], summary.study.simulation
    most = max(max(loads) for loads in simulated["loads"].values())
    panels = "".join(
        page.figure(figures.load(name, loads, most), f"load-{name}", f"load of workers, {name}")
        for name, loads in simulated["loads"].items()
    )
    kinds: dict[tuple[int, bool], dict[str, Any]] = {}
    for row in simulated["rows"]:
        kinds.setdefault((row["workers"], row["two_kinds"]), {})[row["scheduler"]] = row
    names = list(next(iter(kinds.values())))
    rows = []
    for (workers, two), found in kinds.items():
        both = [f"{found[name]['gamma']:.3f}<br>{found[name]['efficiency']:.1%}" for name in names]
        rows.append([f"{workers:,}", "half of them half as fast" if two else "alike", *both])
    table = page.table(["workers", "", *(name.replace(", ", ",<br>") for name in names)], rows, numeric=len(names))
    return f"""<p>{SIMULATED} {counted(settings.tasks, "task")} for each worker, whose costs are drawn from the rollouts
of the measured runs with one actor, dealt by the same code that deals real ones. Seconds that each of
{settings.workers[0]} workers is busy, the dashed line their mean:</p>
<div class="grid three">{panels}</div><div class="scroll">{table}</div>
<p class="note">γ (Eq. 5) above, efficiency (work over what the workers could have done) below. Dynamic without guesses
knows nothing of costs beforehand; guesses are right up to a factor whose logarithm has the standard deviation
{settings.guess:g}.</p>"""


# -- bottlenecks -----------------------------------------------------------------------------------------


def bottlenecks(summary: Summary) -> str:
    links, simulation, shape = summary.found["links"], summary.study.simulation, fault_shape(summary.study)
    measured = np.array([[np.nan if x is None else x for x in row] for row in links["latency"]], np.float64)
    drawn = bottleneck_figures.latency(measured, "measured here")
    panels = page.figure(drawn, "latency", "measured latency between ranks")
    case, modelled = simulation.cases[-1], ""
    if (network := find_network(case.network)) is not None:
        size = links["gradient_bytes"] if case.gradient_mb is None else case.gradient_mb * 2**20
        seconds = Links.of(network).latency(simulation.table_at, size)
        drawn = bottleneck_figures.latency(seconds, f"model, {bytes_text(int(size))}")
        panels += page.figure(drawn, "latency-model", "modelled latency between ranks")
        modelled = (
            f" Beside it, not measured, {bytes_text(int(size))} by Eq. 6 between {simulation.table_at} ranks of a "
        )
        modelled += f"network like {network.name.split(':')[0].removesuffix('-like')}."
    runs = summary.runs("baseline", shape)
    rollouts: dict[int, list[float]] = {}
    for run in runs:
        for actor, seconds in zip(run["rollouts"]["actor"], run["rollouts"]["seconds"], strict=True):
            rollouts.setdefault(int(actor), []).append(seconds)
    density = page.figure(bottleneck_figures.density(rollouts), "density", "density of rollout times by actor")
    count = min(len(run["operations"]) for run in runs)
    periods = [
        {name: sum(run["operations"][k][name] for run in runs) for name in runs[0]["operations"][k]}
        for k in range(count)
    ]
    panels += page.figure(bottleneck_figures.rose(periods), "rose", "shares of time by operation")
    return f"""<p>{MEASURED} Left: latency of a message as large as the gradient
({bytes_text(links["gradient_bytes"])}) between {len(measured)} processes of this machine.{escape(modelled)} Right: time
of a learner and its {counted(shape.actors, "actor")} by operation, areas as shares, in successive parts of the run
(pale to full; the numbers are of the last), waiting left out. Below: density of the seconds of rollouts of each
actor.</p>
<div class="grid three">{panels}</div>
{density}"""


# -- more ranks ------------------------------------------------------------------------------------------


def more_ranks(summary: Summary) -> str:
    known, settings, actors = summary.found["cluster"], summary.study.simulation, summary.study.ablations.actors
    cases = [{**case, "name": _case_name(case)} for case in known["cases"]]
    panels = page.figure(figures.weak_scaling(cases), "weak", "simulated efficiency by learners")
    drawn = figures.simulated_iterations(cases[0]["full"], f"parts of an iteration, {cases[0]['name']}")
    panels += page.figure(drawn, "simulated-iterations", "parts of a simulated iteration")
    tables = "".join(f"<h3>{escape(case['name'])}</h3>{_case(case)}{_optimisations(case, summary)}" for case in cases)
    return f"""<p>{SIMULATED} Learners in step, each with {counted(actors, "actor")}, and a core for every process:
discrete events, in which learners hand out rollouts by the code of real runs. Rollouts, {1e3 * known["handing"]:.2g} ms
between two of them, and updates take what they took in the measured runs with one actor; averages of gradients take
what the {settings.all_reduce} model says of the links, with {known["compressed"]:.0%} of the bytes when compressed, as
measured in the ablations. Sums by node spare messages between nodes, and send the whole gradient twice more within
each. Efficiency: actions a second and learner, over those of a single learner. All are means of
{counted(settings.repeats, "simulation")} of {settings.updates} updates, or of more where that would be fewer than
{settings.rollouts:,} rollouts, and change by a few per cent with other random numbers.</p>
<div class="grid two">{panels}</div>{tables}
<h3>Simulated and measured</h3>{_checked(summary)}"""


def _case_name(case: Mapping[str, Any]) -> str:
    return f"{case['network'].split(':')[0]}, gradient of {bytes_text(int(case['bytes']))}"


def _case(case: Mapping[str, Any]) -> str:
    rows = []
    for full, bare in zip(case["full"], case["without"], strict=True):
        cells = [f"{full['learners']:,}"]
        for row in (full, bare):
            cells += [significant(1e3 * row[key]) for key in ("communication", "seconds")]
            cells += [percent(row["efficiency"]), percent(row["utilisation"])]
        rows.append(cells)
    names = ["T_comm, ms", "T_iter, ms", "efficiency", "U"]
    header = ["learners", *names, *(f"{name}<br>not optimised" for name in names)]
    return f'<div class="scroll">{page.table(header, rows, numeric=8)}</div>'


def _optimisations(case: Mapping[str, Any], summary: Summary) -> str:
    """Table 2 of the paper."""
    rows = []
    for row in case["optimisations"]:
        sums = row["bottleneck"] == "communication"
        bottleneck = "average of gradients, ms an update" if sums else "idle actor, ms a rollout"
        published = PUBLISHED.get(row["optimisation"], ("", ""))
        cells = [escape(row["optimisation"]), bottleneck]
        cells += [significant(1e3 * row[key]) for key in ("without", "with")]
        cells += [signed(-100 * row["reduction"]), published[0], signed(100 * row["utilisation"]), published[1]]
        rows.append([*cells, f"{row['rate']:.2f}"])
    header = ["optimisation", "bottleneck", "without", "with", "change,<br>%", "paper,<br>%", "utilisation,<br>points"]
    table = page.table([*header, "paper,<br>points", "through-<br>put ×"], rows, numeric=7)
    count = summary.study.simulation.table_at
    note = f"Table 2 of the paper, {counted(count, 'learner')}: the whole system, and without one of its parts."
    return f'<p class="note" style="margin-top: .8rem">{note}</p><div class="scroll beside">{table}</div>'


def _checked(summary: Summary) -> str:
    rows = []
    for row in summary.checked:
        rates = significant(row["simulated"]), significant(row["measured"]), f"{row['ratio']:.2f}"
        rows.append([variant_cell(row["variant"]), shape_text(row), *rates])
    header = ["", "learners × actors of each", "simulated, actions/s", "measured", "ratio"]
    note = (
        "Real processes share cores that simulated ones have to themselves, but the costs that were measured with one "
        "actor are those of the load that there was then."
    )
    return f'{page.table(header, rows, numeric=3)}<p class="note">{note}</p>'
