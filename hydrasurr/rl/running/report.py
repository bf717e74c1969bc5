"""`report.html` of a design run: one file that needs nothing else, finished or still under way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from hydrasurr.files import write_text
from hydrasurr.rl.pictures import gallery
from hydrasurr.rl.rewards.goals import AnyGoal, Maximise, Range
from hydrasurr.rl.rewards.objective import ObjectiveConfig
from hydrasurr.rl.running import figures
from hydrasurr.rl.running.condensed import Record, condensed, together
from hydrasurr.rl.running.folder import DesignFolder
from hydrasurr.rl.running.run_files import DesignRun
from hydrasurr.tables import duration, significant
from hydrasurr.training import page
from hydrasurr.training.page import Tile

PICTURES = 24
"""Of the best molecules."""
LEARNERS = {
    "ppo": "PPO",
    "a3c": "A3C",
    "impala": "IMPALA",
    "apex": "Ape-X",
    "random": "Random actions",
}
PANELS = {
    "entropy": "entropy of the policy (nats)",
    "kl": "KL divergence of an update (nats)",
    "gradient_norm": "norm of the gradient",
    "action_value": "mean value of actions taken",
}
"""Titles of what learners report; other names are said as they are."""
EQUATIONS = "Eq. 4 and 5 of M. Zielinski (2025)"


def write_report(folder: DesignFolder) -> Path:
    """Write `report.html` of a run, finished or not, and return its path.

    Raises HydrasurrError if there is no run in the folder.
    """
    run = DesignRun.read(folder)
    records = condensed(run.records, figures.POINTS)
    whole = together(run.records) if run.records else {}
    sections = {
        "Objective": _objective(run),
        "Learning": _learning(run, records),
        "Best molecules": _molecules(run),
        "Time": _time(run, records, whole) if records else "",
        "Policy lag": _lag(run, records, whole) if records else "",
        "Load of actors": _load(run, whole) if records else "",
        "Rewards": _rewards(records, whole) if records else "",
        "Communication": _communication(run, whole) if records else "",
        "Configuration": _configuration(run),
    }
    version = str(run.environment.get("hydrasurr", ""))
    text = page.page(f"{run.config.name}: design report", _header(run, sections), sections, version)
    write_text(folder.report, text)
    return folder.report


# -- the top -------------------------------------------------------------------------------------------


def _header(run: DesignRun, sections: Mapping[str, str]) -> str:
    config = run.config
    learner, running = LEARNERS[config.learner.type], config.running
    several = f"{run.learners} learners, " if run.learners > 1 else ""
    actors = len(run.records[-1]["load"]["busy"]) if run.records else running.actors
    each = " each" if run.learners > 1 else ""
    subtitle = (
        f"{learner}, {config.model.title} network of {config.model.shape}, {several}{actors} "
        f"actor{'s' if actors > 1 else ''}{each} by '{running.executor}'"
    )
    return f"""<p class="kicker">hydrasurr design report</p>
<h1>{escape(config.name)}{_badge(run)}</h1>
<p class="subtitle">{escape(subtitle)}</p>
{page.links(sections)}
{page.tiles(_tiles(run), main=2)}"""


def _badge(run: DesignRun) -> str:
    if run.finished:
        return ""
    done = run.records[-1]["total_frames"] if run.records else 0
    return f'<span class="badge">unfinished: {done:,} of {run.config.frames:,} actions</span>'


def _tiles(run: DesignRun) -> list[Tile]:
    config, found = run.config, run.results
    last = run.records[-1] if run.records else {}
    evaluated = found.get("molecules", last.get("evaluations", 0))
    mean = found.get(f"top_{config.top_k}_mean", last.get("best"))
    tiles = [
        ("best molecule", significant(found.get("best")), "", "worth"),
        (f"mean of best {config.top_k}", significant(mean), "", "worth"),
        (
            f"top-{config.top_k} AUC",
            significant(found.get(f"top_{config.top_k}_auc")),
            "",
            f"as PMO, over {config.budget or evaluated:,} evaluations",
        ),
        ("molecules", f"{evaluated:,}", "", f"of a budget of {config.budget:,}" if config.budget else "different ones"),
    ]
    if run.records:
        time, unit = duration(last["total_seconds"]).split()
        rate = last["total_frames"] / max(last["total_seconds"], 1e-9)
        tiles += [
            ("actions", f"{last['total_frames']:,}", "", f"{last['update']:,} updates"),
            ("time", time, unit, f"{significant(rate)} actions/s"),
        ]
    return tiles


# -- what was found ------------------------------------------------------------------------------------


def _learning(run: DesignRun, records: list[Record]) -> str:
    if not records:
        return "<p>No update has been recorded yet.</p>"
    top_k = run.config.top_k
    curves = page.figure(figures.objective(records, run.evaluations), "objective", "objective by actions")
    counts = [count for count in dict.fromkeys((1, top_k, run.config.top)) if count <= max(len(run.worth), 1)]
    if len(run.worth):
        curves += page.figure(figures.best(run.worth, counts), "best", "best molecules by evaluations")
    else:
        means = [record["best"] for record in records]
        curves += page.figure(figures.curve(records, means, f"mean worth of best {top_k}"), "best", "best molecules")
    names = list(dict.fromkeys(name for record in records for name in record["loss"]))
    panels = {PANELS.get(name, name.replace("_", " ")): [r["loss"].get(name) for r in records] for name in names}
    panels["actions of an episode"] = [record["length"] for record in records]
    drawn = "".join(
        page.figure(figures.curve(records, values, title), f"learner-{k}", f"{title} by actions")
        for k, (title, values) in enumerate(panels.items())
    )
    return f"""<div class="grid curve">{curves}</div>
<h3>What the learner reports</h3><div class="grid three">{drawn}</div>"""


def _objective(run: DesignRun) -> str:
    """What is wanted, property by property."""
    wanted: ObjectiveConfig = run.config.objective
    units = [column["unit"] for column in run.results.get("columns", [])]
    several = len(wanted.terms) > 1
    rows = [(term.property.name, _goal(term.goal), f"{term.weight:g}" if several else "") for term in wanted.terms]
    for bound in wanted.constraints:
        ends = {"at least": bound.at_least, "at most": bound.at_most}
        told = " and ".join(f"{name} {end:g}" for name, end in ends.items() if end is not None)
        rows.append((bound.property.name, f"{told}, else worth {wanted.otherwise:g}", ""))
    units += [""] * (len(rows) - len(units))
    cells = [[page.named(name, unit), escape(goal), weight] for (name, goal, weight), unit in zip(rows, units)]
    by = f"the {wanted.combine.replace('_', ' ')} of scores by weight"
    note = f'<p class="note">A molecule is worth {by}.</p>' if several else ""
    return note + page.table(["property", "wanted", "weight" if several else ""], cells, numeric=1)


def _goal(goal: AnyGoal) -> str:
    if isinstance(goal, Range):
        place = f"{goal.low:g}" if goal.low == goal.high else f"{goal.low:g} to {goal.high:g}"
        return f"{place} scores 1, outside less by a factor of e for each {goal.tolerance:g}"
    if isinstance(goal, Maximise):
        return f"as much as can be: {goal.low:g} scores 0, {goal.high:g} scores 1"
    return f"as little as can be: {goal.high:g} scores 0, {goal.low:g} scores 1"


def _molecules(run: DesignRun) -> str:
    top, columns = run.results.get("top", []), run.results.get("columns", [])
    if not top:
        return ""
    pictures = [(row["smiles"], _caption(row, columns)) for row in top[:PICTURES]]
    heads = ["", "molecule", "worth", *(page.named(column["name"], column["unit"]) for column in columns)]
    rows = [
        [str(k), f"<code>{escape(row['smiles'])}</code>", significant(row["worth"]), *_numbers(row)]
        for k, row in enumerate(top, start=1)
    ]
    table = page.table(heads, rows, numeric=1 + len(columns))
    return f"""{gallery(pictures)}
<details><summary>Table of the best {len(top)}</summary><div class="scroll">{table}</div></details>"""


def _caption(row: Mapping[str, Any], columns: Sequence[Mapping[str, str]]) -> list[str]:
    pairs = zip(columns, _numbers(row), strict=True)
    said = [f"{escape(column['name'])} {number} {escape(column['unit'])}".rstrip() for column, number in pairs]
    return [f"<b>worth {significant(row['worth'])}</b>", *said]


def _numbers(row: Mapping[str, Any]) -> list[str]:
    """Of each property, with its standard deviation if it has one."""
    return [
        significant(value).replace("-", "\u2212") + (f" ± {std:.2g}" if std else "")
        for value, std in zip(row["properties"], row["std"], strict=True)
    ]


# -- how it went ---------------------------------------------------------------------------------------


def _time(run: DesignRun, records: list[Record], whole: Record) -> str:
    actors = [record["actor_seconds"] for record in records]
    learner = list(map(figures.learner_seconds, records))
    panels = [
        _shares("Learner", records, learner, figures.learner_seconds(whole), figures.LEARNER),
        _shares("Actors", records, actors, whole["actor_seconds"], figures.ACTOR),
    ]
    passed = [0, *(record["total_frames"] for record in records)]
    rate = [
        (after - before) / max(record["seconds"]["all"], 1e-9)
        for before, after, record in zip(passed, passed[1:], records)
    ]
    rates = page.figure(figures.curve(records, rate, "actions per second", 0.0), "rate", "actions per second")
    panels.append(f"<div><h3>Throughput</h3>{rates}</div>")
    note = ""
    if run.learners > 1:
        note = (
            f"Of the first learner and its actors. Sending gradients took {duration(whole['all_reduce_seconds'])}, in "
            "part while the backward pass went on; what is drawn and told here as averaging is the time for which the "
            "learner had computed its gradients and waited for their averages (exposed)."
        )
    told = f'<p class="note">{note}</p>' if note else ""
    return f'{told}<div class="grid three top">{"".join(panels)}</div>'


def _shares(
    title: str,
    records: list[Record],
    parts: Sequence[Mapping[str, float]],
    whole: Mapping[str, float],
    kinds: Mapping[str, tuple[str, str]],
) -> str:
    total = sum(whole.values()) or 1.0
    rows = [
        [page.swatch(color) + name, duration(whole[kind]), f"{100 * whole[kind] / total:.1f} %"]
        for kind, (name, color) in kinds.items()
        if whole.get(kind)
    ]
    chart = page.figure(figures.shares(records, parts, kinds), f"time-{title}", f"time of {title} by actions")
    return f"<div><h3>{title}</h3>{chart}{page.table(['', 'time', 'share'], rows, numeric=2)}</div>"


def _lag(run: DesignRun, records: list[Record], whole: Record) -> str:
    if run.config.synchronous:
        return "<p>None: this learner waits for rollouts that are played by its newest weights.</p>"
    lag = whole["lag"]
    facts = {"least": f"{lag['min']:g}", "mean": significant(lag["mean"]), "most": f"{lag['max']:g}"}
    facts |= {"rollouts": f"{whole['rollouts']:,}", "discarded for their age": f"{lag['discarded']:,}"}
    chart = page.figure(figures.lag(records), "lag", "policy lag by actions")
    return f"""<p class="note">How many updates the learner had made between the weights that a rollout was played by
and its arrival.</p><div class="grid beside">{chart}{page.facts(facts)}</div>"""


def _load(run: DesignRun, whole: Record) -> str:
    load = whole["load"]
    facts = {
        "scheduler": load["scheduler"],
        "since the last start": duration(load["seconds"]),
        "mean load": duration(sum(load["busy"]) / len(load["busy"])),
        "sigma_load": f"{duration(load['sigma_load'])}, {100 * load['relative_sigma_load']:.2g} % of the mean",
        "gamma": f"{load['gamma']:.3f}",
        "efficiency": f"{100 * load['efficiency']:.1f} %",
        "in vain": duration(sum(load["vain"])),
    }
    note = (
        f"sigma_load is the standard deviation of loads, gamma the largest over their mean ({EQUATIONS}); efficiency "
        "is the part of the time there was that led to results."
    )
    if run.config.synchronous:
        note += " Actors rest while the learner learns."
    chart = page.figure(figures.load(whole), "load", "seconds that each actor was at work")
    return f'<p class="note">{note}</p><div class="grid beside">{chart}{page.facts(facts)}</div>'


def _rewards(records: list[Record], whole: Record) -> str:
    hits = [100 * record["rewards"]["hit_rate"] for record in records]
    latency, batch = ([r["rewards"][key] for r in records] for key in ("latency_ms_median", "batch_size_median"))
    panels = {
        "known already, % of molecules": hits,
        "median latency of a request (ms)": latency,
        "median batch, molecules": batch,
    }
    drawn = "".join(
        page.figure(figures.curve(records, values, title, 0.0), f"reward-{k}", title)
        for k, (title, values) in enumerate(panels.items())
    )
    return f"""<p class="note">The reward service evaluates each molecule once, and all that were asked for while it
was busy together. Over the whole run, {whole["evaluations"]:,} molecules were evaluated.</p>
<div class="grid three">{drawn}</div>"""


def _communication(run: DesignRun, whole: Record) -> str:
    sent = whole["bytes_sent"]
    if not any(sent.values()):
        return ""
    plan = run.config.communication
    updates = max(whole["updates"], 1)
    facts = {
        "learners": str(run.learners),
        "compression": plan.compression,
        "hierarchical": "yes" if plan.hierarchical else "no",
        **{
            place: f"{significant(sent[scope] / 1e6)} MB, {significant(sent[scope] / 1e6 / updates)} MB for each update"
            for scope, place in (("global", "sent over all learners or nodes"), ("local", "sent within nodes"))
            if sent[scope]
        },
    }
    return f'<p class="note">Gradients, as the first learner sent them.</p>{page.facts(facts)}'


def _configuration(run: DesignRun) -> str:
    config = escape(run.config.model_dump_json(indent=2))
    environment = {
        key: page.sentence(value, joint=" " if key == "command" else ", ") or "none"
        for key, value in run.environment.items()
    }
    return f"""<details><summary>Resolved configuration</summary><pre>{config}</pre></details>
<details open><summary>Environment</summary>{page.facts(environment)}</details>"""
