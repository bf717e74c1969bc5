"""Figures of ablations and faults: Fig. 7 of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from hydrasurr.rl.study.convergence import Curve, Goal
from hydrasurr.rl.study.figures import COLOR, NAMES, heading, percent, polar_axes
from hydrasurr.training.figure_style import COLORS, new_axes, styled
from hydrasurr.training.figures import HALF, SMALL, THIRD, WIDE

Ablations = Mapping[str, Mapping[str, Any]]
"""Of each variant, see Summary.ablation."""
WRAPPED = {
    "no_async": "no async\nupdates",
    "no_dynamic": "no dynamic\nscheduling",
    "no_communication": "plain\ncommunication",
}
FAULTS = {
    None: ("undisturbed", "train"),
    "kill_actor": ("an actor dies", "val"),
    "stall_actor": ("an actor stalls", "test"),
    "restart_learner": ("the learner dies", "backward"),
}
"""What runs are called, and their colours."""


@styled
def bars(found: Ablations) -> Figure:
    """Fig. 7a: throughput over that of the baseline, parallel efficiency (Eq. 1) and system efficiency (Eq. 13)."""
    figure, ax = new_axes(WIDE)
    width = 0.8 / len(found)
    for k, (variant, facts) in enumerate(found.items()):
        heights = [facts["throughput"]["value"], facts["efficiency"]["value"], facts["system_efficiency"]]
        errors = [facts["throughput"]["error"], facts["efficiency"]["error"], 0]
        places = np.arange(3) + (k - (len(found) - 1) / 2) * width
        ax.bar(places, heights, 0.92 * width, color=COLORS[COLOR[variant]], linewidth=0, label=NAMES[variant])
        ax.errorbar(places, heights, errors, fmt="none", color=COLORS["ink"], elinewidth=0.9)
        for x, height in zip(places, heights, strict=True):
            ax.annotate(f"{height:.0%}", (x, 0), (0, 3), textcoords="offset points", ha="center", fontsize=7.5)
    ax.set_xticks(
        np.arange(3), ["throughput, baseline = 100 %", "parallel efficiency (Eq. 1)", "system efficiency (Eq. 13)"]
    )
    ax.tick_params(axis="x", length=0, labelcolor=COLORS["ink"])
    ax.grid(axis="x", visible=False)
    percent(ax)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.02), ncols=4, columnspacing=1.2)
    return figure


@styled
def radar(found: Ablations) -> Figure:
    """Fig. 7b: throughput, system efficiency and convergence, each over that of the baseline."""
    figure, ax = polar_axes(THIRD)
    axes = ("throughput", "system\nefficiency", "convergence\na second", "convergence\na frame")
    angles = np.linspace(0, 2 * np.pi, len(axes), endpoint=False)
    base = found["baseline"]
    for variant, facts in found.items():
        speeds = [facts["convergence"][key]["relative"] or 0.0 for key in ("per_second", "per_frame")]
        values = [
            facts["throughput"]["value"],
            facts["system_efficiency"] / base["system_efficiency"],
            *speeds,
        ]
        closed = np.append(values, values[0])
        color = COLORS[COLOR[variant]]
        ax.plot(np.append(angles, angles[0]), closed, color=color, linewidth=1.4)
        ax.fill(np.append(angles, angles[0]), closed, color=color, alpha=0.08, linewidth=0)
    ax.set_xticks(angles, axes)
    ax.tick_params(axis="x", pad=9, labelcolor=COLORS["ink"])
    ax.set_theta_zero_location("N")
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.set_rlabel_position(45)
    ax.spines["polar"].set_visible(False)
    return figure


@styled
def convergence(found: Ablations) -> Figure:
    """Fig. 7c: convergence speeds over that of the baseline, by frames and by seconds."""
    figure, ax = new_axes(HALF)
    places = np.arange(len(found))
    for shift, key, alpha, label in ((-0.2, "per_second", 1.0, "a second"), (0.2, "per_frame", 0.55, "a frame")):
        values = [facts["convergence"][key]["relative"] or 0.0 for facts in found.values()]
        colors = [COLORS[COLOR[variant]] for variant in found]
        ax.barh(places + shift, values, 0.36, color=colors, alpha=alpha, linewidth=0)
        for y, value, facts in zip(places + shift, values, found.values(), strict=True):
            known = facts["convergence"][key]["relative"] is not None
            text = f"{value:.2f} {label}" if known else "baseline did not converge"
            ax.annotate(text, (value, y), (4, 0), textcoords="offset points", va="center", fontsize=7.5)
    ax.set_yticks(places, [WRAPPED.get(variant, NAMES[variant]) for variant in found])
    ax.tick_params(axis="y", length=0, labelcolor=COLORS["ink"])
    ax.invert_yaxis()
    ax.set_xlim(0, 1.3 * max(ax.get_xlim()[1], 1.0))  # room for the numbers
    ax.grid(axis="y", visible=False)
    heading(ax, "convergence speed, baseline = 1", legend=False)
    return figure


@styled
def loss_variance(found: Ablations) -> Figure:
    """Fig. 7d: variance of the loss between updates in the second half of the frames."""
    figure, ax = new_axes(HALF)
    places = np.arange(len(found))
    values = [facts["loss"]["variance"] or 0.0 for facts in found.values()]
    ax.bar(places, values, 0.66, color=[COLORS[COLOR[variant]] for variant in found], linewidth=0)
    for x, value in zip(places, values, strict=True):
        ax.annotate(
            f"{value:.2g}" if value else "-", (x, value), (0, 2), textcoords="offset points", ha="center", fontsize=7.5
        )
    ax.set_xticks(places, [WRAPPED.get(variant, NAMES[variant]) for variant in found])
    ax.tick_params(axis="x", length=0, labelcolor=COLORS["ink"])
    ax.grid(axis="x", visible=False)
    ax.margins(y=0.12)
    name = next(iter(found.values()))["loss"]["name"] or "loss"
    heading(ax, f"variance of {name.replace('_', ' ')}", legend=False)
    return figure


@styled
def violins(rewards: Mapping[str, Sequence[float]]) -> Figure:
    """Fig. 7e: distribution of the objective of what episodes of trained agents end with."""
    figure, ax = new_axes(HALF)
    for k, (variant, values) in enumerate(rewards.items()):
        color = COLORS[COLOR[variant]]
        values = np.asarray(values)
        if np.ptp(values) > 0:
            body = ax.violinplot(values, [k], widths=0.8, showextrema=False)["bodies"][0]
            body.set(facecolor=color, alpha=0.45, linewidth=0)
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        ax.plot([k, k], [low, high], color=color, linewidth=4, solid_capstyle="butt")
        ax.plot(k, middle, "o", color=COLORS["ink"], markersize=3.5, zorder=5)
    ax.set_xticks(range(len(rewards)), [WRAPPED.get(variant, NAMES[variant]) for variant in rewards])
    ax.tick_params(axis="x", length=0, labelcolor=COLORS["ink"])
    ax.grid(axis="x", visible=False)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    heading(ax, "objective of final molecules: median, quartiles, density", legend=False)
    return figure


@styled
def learning(curves: Mapping[str, Sequence[Curve]], goal: Goal, by: str) -> Figure:
    """Objective of episodes over "frames" or "seconds", a line for each seed, and the goal of convergence."""
    figure, ax = new_axes(HALF)
    for variant, runs in curves.items():
        for curve in runs:
            ax.plot(getattr(curve, by), curve.smoothed(), color=COLORS[COLOR[variant]], linewidth=1.1, alpha=0.85)
    ax.axhline(goal.target, color=COLORS["muted"], linewidth=0.9, dashes=(4, 3))
    ax.annotate(
        "goal", (1, goal.target), (-2, 3), xycoords=("axes fraction", "data"), textcoords="offset points", ha="right",
        color=COLORS["muted"], fontsize=7.5,
    )  # fmt: skip
    ax.set_xlabel(by)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    heading(ax, "objective of episodes", legend=False)
    return figure


@styled
def faults(times: Mapping[str | None, Mapping[str, Sequence[float]]]) -> Figure:
    """Frames over the clock, from the end of the first rollout on, for each fault."""
    figure, ax = new_axes(SMALL if not times else WIDE)
    for fault, known in times.items():
        label, color = FAULTS[fault]
        ax.plot(
            known["seconds"], known["frames"], color=COLORS[color], label=label, linewidth=1.4, drawstyle="steps-post"
        )
    ax.set(xlabel="seconds", xlim=(0, None), ylim=(0, None))
    ax.yaxis.set_major_formatter(EngFormatter(sep=""))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    heading(ax, "frames", columns=4)
    return figure
