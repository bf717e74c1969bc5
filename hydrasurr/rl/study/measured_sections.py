"""Sections of the report on what was measured: scaling, iterations, ablations, faults, and the index of all."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from hydrasurr.rl.study import ablation_figures, figures
from hydrasurr.rl.study.cells import (
    MEASURED,
    change,
    counted,
    percent,
    seeds_text,
    shape_text,
    signed,
    tasks_text,
    variant_cell,
    with_error,
)
from hydrasurr.rl.study.figures import NAMES
from hydrasurr.rl.study.summary import Summary
from hydrasurr.rl.study.variants import Run, ablation_shape, fault_shape
from hydrasurr.tables import significant
from hydrasurr.training import page

FAULT_NAMES = {
    "kill_actor": "an actor is killed",
    "stall_actor": "an actor stalls",
    "restart_learner": "the learner is killed",
}

# -- scaling ---------------------------------------------------------------------------------------------


def scaling(summary: Summary) -> str:
    points, simulated = summary.points, summary.found["cluster"]
    alone, together = simulated["one_learner"], learners_in_step(summary)
    counts = np.geomspace(1, summary.study.scaling.most, 40)
    bands = summary.eq9_bands(counts)
    drawn = figures.speed_up(points, alone, together, (counts, bands) if bands else None)
    panels = page.figure(drawn, "speed-up", "speed-up by actors")
    drawn = figures.efficiency(points, alone, together)
    panels += page.figure(drawn, "efficiency", "parallel efficiency by actors")
    rows = []
    for point in points:
        eta = percent(point["efficiency"]["value"]), percent(point["efficiency_eq8"])
        load = significant(point["sigma_load"]), f"{point['gamma']:.3f}"
        use = (percent(point[key]) for key in ("utilisation", "system_efficiency", "cores_busy"))
        rows.append([shape_text(point), with_error(point["rate"]), with_error(point["speedup"]), *eta, *load, *use])
    header = ["learners ×<br>actors of each", "actions/s", "speed-up", "Eq. 1", "Eq. 8", "σ_load, s", "γ"]
    header += ["U<br>Eq. 12", "η_sys<br>Eq. 13", "cores<br>busy"]
    return f"""<p>{MEASURED} The same run with more and more actors, and with several learners:
{tasks_text(summary.study)}. Dots were measured, dashed lines simulated with measured task costs and a core for every
process; here all processes share {counted(summary.environment["cores"], "core")}. Speed-ups compare runs of one seed;
± standard error over seeds.</p>
<div class="grid curve">{panels}</div><div class="scroll">{page.table(header, rows, numeric=9)}</div>
<p class="note">Eq. 8 counts what actors compute and what is communicated, not what they wait. σ_load (Eq. 4) and γ
(Eq. 5) are of the seconds that actors were busy. U and η_sys are of the learner and its actors without their start; an
actor is busy while it plays, also while it waits for rewards or for the time that rollouts take longer on purpose.
Cores busy: processor time of all processes over that of the cores, with their start. As printed, Eq. 13 counts idle
time twice, so that η_sys = U/(2 − U).</p>
{_eq9(summary)}"""


def learners_in_step(summary: Summary) -> list[dict[str, Any]]:
    """Simulated ones, by actors, up to those of the figures."""
    actors, most = summary.study.ablations.actors, summary.study.scaling.most
    rows = summary.found["cluster"]["cases"][0]["full"]
    return [{**row, "workers": row["learners"] * actors} for row in rows if row["learners"] * actors <= most]


def _eq9(summary: Summary) -> str:
    fit, single = summary.numbers["scaling"]["eq9"], len(summary.study.seeds) == 1
    if fit is None:
        return ""
    shown = []
    for name, unit in (("alpha", " s"), ("beta", " s"), ("gamma", "")):
        shown.append(f"{name} = {significant(fit[name]['value']) if single else with_error(fit[name])}{unit}")
    text = f"Eq. 9, S(N) = T₁/(T₁/N + α log₂N + β(N−1) + γσ_L), fitted to one learner: {', '.join(shown)}."
    if not fit["determined"]:
        text += (
            " The measured counts are too few to determine three parameters: the first ones took what there is, and "
            "nothing is forecast from them."
        )
    elif fit["forecast"] is None:
        text += " A single seed says nothing of the errors of the points, so nothing is forecast from them."
    else:
        band = fit["forecast"]
        text += (
            f" It forecasts S({band['actors']}) = {band['value']:.3g} [{band['low']:.3g}, {band['high']:.3g}] with the "
            "σ_load of the most actors measured: on these cores, and not on more of them."
        )
    return f'<p class="note">{escape(text)}</p>'


# -- iterations ------------------------------------------------------------------------------------------


def iterations(summary: Summary) -> str:
    rows = {f"baseline, {shape_text(point)}": point["iteration"] for point in summary.points}
    shape = shape_text(vars(ablation_shape(summary.study)))
    for variant in summary.study.ablations.variants:
        rows[f"{NAMES[variant]}, {shape}"] = summary.numbers["ablations"][variant]["iteration"]
    panels = page.figure(figures.iterations(rows), "iterations", "parts of an iteration")
    drawn = figures.use_and_overhead(summary.points, learners_in_step(summary))
    panels += page.figure(drawn, "use", "utilisation and communication by actors")
    keys = ("computation", "communication", "wait", "step", "measured", "longest_wait", "eq11")
    cells = [[escape(name), *(significant(1e3 * row[key]) for key in keys)] for name, row in rows.items()]
    header = [
        "learners × actors of each",
        "T_comp",
        "T_comm",
        "wait for<br>rollouts",
        "for learners,<br>rest",
        "T_iter",
    ]
    table = page.table([*header, "longest<br>wait", "Eq. 11"], cells, numeric=7)
    return f"""<p>{MEASURED} An iteration is an update of a learner, in ms; the first four columns add up to T_iter.
T_comm is what the backward pass waits for averages of gradients, also because another learner is not there yet. Eq. 11:
computation and communication of the process, learner or actor, that waits longest, and its wait; this is T_iter by
necessity if that is the learner. In the right panel dots are measured (squares: several learners) and lines
simulated.</p>
<div class="grid curve">{panels}</div><div class="scroll">{table}</div>"""


# -- ablations -------------------------------------------------------------------------------------------


def ablations(summary: Summary) -> str:
    study, found, shape = summary.study, summary.numbers["ablations"], ablation_shape(summary.study)
    rewards = {v: np.concatenate([run["rewards"] for run in summary.runs(v, shape)]) for v in study.variants}
    curves = {variant: summary.curves(variant) for variant in study.variants}
    top = page.figure(ablation_figures.bars(found), "ablation-bars", "throughput and efficiency of ablations")
    top += page.figure(ablation_figures.radar(found), "ablation-radar", "radar chart of ablations")
    panels = page.figure(ablation_figures.convergence(found), "ablation-convergence", "convergence of ablations")
    panels += page.figure(ablation_figures.loss_variance(found), "ablation-loss", "loss variance of ablations")
    panels += page.figure(ablation_figures.violins(rewards), "ablation-violins", "final rewards of ablations")
    for by in ("frames", "seconds"):
        drawn = ablation_figures.learning(curves, summary.goal, by)
        panels += page.figure(drawn, f"ablation-{by}", f"objective of ablations by {by}")
    baseline = (
        f"{study.design.learner.type}, scheduler '{study.design.scheduling.scheduler}', {_communication(summary)}"
    )
    return f"""<p>{MEASURED} The baseline ({escape(baseline)}) against the same without one of its parts, each with
{counted(shape.learners, "learner")} of {counted(shape.actors, "actor")}, {study.design.frames:,} actions and
{seeds_text(study)}; {tasks_text(study)}.</p>
<div class="grid curve">{top}</div>
<div class="grid two">{panels}<div>{_goal(summary)}</div></div>
<div class="scroll beside">{_ablation_table(summary)}</div>
<p class="note">{_what_is_missing(summary)}</p>"""


def _ablation_table(summary: Summary) -> str:
    rows = []
    for variant, facts in summary.numbers["ablations"].items():
        converged, final = facts["convergence"], facts["final"]
        cells = [variant_cell(variant), with_error(facts["rate"]), percent(facts["efficiency"]["value"])]
        cells += [percent(facts["utilisation"]), f"{facts['gamma']:.2f}", f"{facts['bytes'] / 1024:,.1f}"]
        cells += [signed(converged[key]["cdr"]) for key in ("per_frame", "per_second")]
        cells += [f"{converged['reached']} of {converged['runs']}", significant(facts["loss"]["variance"])]
        rows.append([*cells, with_error({"value": final["mean"], "error": final["error"]})])
    header = ["", "actions/s", "Eq. 1", "U", "γ", "KiB<br>an update", "CDR, %<br>a frame", "CDR, %<br>a second"]
    header += ["goal<br>reached", "loss<br>variance", "final<br>objective"]
    return page.table(header, rows, numeric=10)


def _communication(summary: Summary) -> str:
    known = summary.study.design.communication
    parts = [f"gradients by {known.compression}" if known.compression != "none" else "whole gradients"]
    parts += ["overlapped with the backward pass"] * bool(known.overlap) + ["by node"] * known.hierarchical
    return ", ".join(parts)


def _goal(summary: Summary) -> str:
    goal, share = summary.goal, summary.study.ablations.target
    if goal.gain <= 0:
        return (
            '<p class="note">The baseline gained nothing in these frames, so that convergence cannot be compared: give '
            "the study more design.frames.</p>"
        )
    return f"""<p class="note">Convergence speed: the gain of the objective of episodes from {goal.start:.3g} to
{goal.target:.3g}, which is {share:.0%} of what the baseline gains in the mean over seeds, over the frames or seconds
until the curve, smoothed over a twentieth of the frames, is there. A run that does not get there has what it gained
over all its frames and seconds. Seconds count from the first record on. CDR (Eq. 10) compares means over seeds;
negative is faster than the baseline.</p>"""


def _what_is_missing(summary: Summary) -> str:
    settings = summary.study.ablations
    return (
        "No async updates: PPO that takes as many steps of the optimizer from as many actions, but waits for the "
        f"rollouts of all actors. No dynamic scheduling: '{settings.static}', where a rollout is promised to an actor "
        "as soon as its lane is free, whether the actor is free or not. Plain communication: whole gradients "
        "after the backward pass, in one message. Between ranks of one machine sums by node are no different. Final "
        f"objective: {settings.episodes} episodes of each trained policy. Loss variance: of single updates in the "
        "second half of the frames; an update of PPO is a mean over its minibatches."
    )


# -- faults ----------------------------------------------------------------------------------------------


def faults(summary: Summary) -> str:
    """Empty without faults."""
    known, shape = summary.study.faults, fault_shape(summary.study)
    if not known.kinds:
        return ""
    runs = {fault: Run("baseline", shape, summary.study.seeds[0], fault).name for fault in (None, *known.kinds)}
    times = {fault: summary.found[name].get("times") for fault, name in runs.items()}
    drawn = ablation_figures.faults({fault: found for fault, found in times.items() if found})
    rows, failures = [], []
    for variant, found in summary.numbers["faults"].items():
        for fault, facts in found.items():
            rows.append([variant_cell(variant), escape(FAULT_NAMES[fault]), *_fault_cells(facts)])
            failures += [f"<li>{escape(FAULT_NAMES[fault])}: {escape(text)}</li>" for text in facts["failed"]]
    header = ["", "", "survived", "through-<br>put", "seconds<br>lost", "frames<br>lost", "recovery,<br>s"]
    header += ["final<br>objective", "CDR, %<br>a frame", "counted<br>once"]
    failed = f'<p class="note">Runs that failed:</p><ul>{"".join(failures)}</ul>' if failures else ""
    return f"""<p>{MEASURED} One learner with {counted(shape.actors, "actor")}. An actor kills itself after
{known.kill_at:.0%} of its rollouts; or one stops for {known.stall_seconds:g} s, and has its rollout taken away when its
lease is over; or the learner gets SIGKILL after {known.restart_at:.0%} of the frames and is resumed at once from its
last checkpoint, taken every {60 * known.checkpoint_minutes:g} s.</p>
{page.figure(drawn, "faults", "frames over time with faults")}
<div class="scroll beside">{page.table(header, rows, numeric=8)}</div>{failed}
<p class="note">Throughput: that of the undisturbed run with the same seed is 100 %; it and the seconds lost are by the
clock from the end of the first rollout to that of the last. Frames lost: recorded and gone with the learner, or of a
rollout that had to be played again. Recovery: until whoever suffered the fault has finished a rollout again, the start
of a process included; none if the run had ended before. Final objective: its change. Counted once: the frames of all
records, and those of all lanes, add up to those of the run.</p>"""


def _fault_cells(facts: Mapping[str, Any]) -> list[str]:
    survived = f"{facts['recovered']} of {facts['runs']}"
    if not facts["recovered"]:
        return [survived, *"-------"]
    recovery = "-" if facts["recovery"] is None else f"{facts['recovery']:.1f}"
    lost = change(facts["seconds_lost"], 1), f"{facts['frames_lost']:,.0f}"
    once = "yes" if facts["counted_once"] else "<b>no</b>"
    rest = change(facts["reward_change"], 2), signed(facts["convergence"]), once
    return [survived, percent(facts["throughput"]), *lost, recovery, *rest]


# -- index -----------------------------------------------------------------------------------------------


def index(summary: Summary) -> str:
    settings, rows = summary.study.index, []
    for variant, facts in summary.numbers["index"].items():
        robust = _number(facts["robustness"]) + ("" if facts["own_faults"] else " *")
        cdr = None if facts["cdr"] is None else facts["cdr"] / 100
        cells = [variant_cell(variant), _number(facts["system_efficiency"]), _number(cdr), robust]
        rows.append([*cells, f"<b>{_number(facts['cpi'])}</b>"])
    table = page.table(["", "η_sys", "CDR", "R", "CPI"], rows, numeric=4)
    weights = f"α = {settings.alpha:.3g}, β = {settings.beta:.3g}, γ = {settings.gamma:.3g}"
    return f"""<p>{MEASURED} CPI = α η_sys + β (1 − CDR) + γ R (Eq. 14) with {weights}; CDR by
{settings.convergence}.</p>
{table}<p class="note">R: share of faults survived, times the throughput with faults over that without. * that of the
baseline, as this ablation was not put to faults.</p>"""


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}".replace("-", "\u2212")
