"""Figures of scaling, iterations and load: Fig. 4 and 6 of the paper. Dots and bars are measured, lines are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from hydrasurr.rl.scheduling.metrics import gamma, relative_sigma_load
from hydrasurr.scaling.forecast import CONFIDENCE, Band
from hydrasurr.training.figure_style import COLORS, RASTER_DPI, new_axes, styled
from hydrasurr.training.figures import HALF, SMALL, THIRD, WIDE

Rows = Sequence[Mapping[str, Any]]

NAMES = {
    "baseline": "baseline",
    "no_async": "no async updates",
    "no_dynamic": "no dynamic scheduling",
    "no_communication": "plain communication",
}
COLOR = {"baseline": "train", "no_async": "test", "no_dynamic": "val", "no_communication": "backward"}
"""Of each variant, see figure_style.COLORS; the colours of the paper's Fig. 7."""
PARTS = {
    "computation": ("compute", "forward"),
    "communication": ("average gradients", "all_reduce"),
    "wait": ("wait for rollouts", "load"),
    "step": ("wait for other learners, rest", "optimizer"),
}
"""Of an iteration of a learner: in words, and its colour."""
IDEAL = {"color": COLORS["muted"], "linewidth": 0.9, "linestyle": (0, (1, 2))}
SIMULATED = {"linestyle": (0, (4, 2)), "linewidth": 1.2}


# -- scaling: Fig. 6 -----------------------------------------------------------------------------------


@styled
def speed_up(points: Rows, alone: Rows, together: Rows, bands: tuple[Sequence[float], Sequence[Band]] | None) -> Figure:
    """Measured speed-up by actors, ideal, Eq. 9 with its band if given, and simulated: `alone` one learner, `together`
    learners in step."""
    figure, ax = new_axes(WIDE)
    most = max(row["actors"] for row in alone)
    ax.plot([1, most], [1, most], **IDEAL, label="ideal")
    if bands is not None:
        counts, found = bands
        low, high = [band.low for band in found], [band.high for band in found]
        ax.fill_between(counts, low, high, color=COLORS["val"], alpha=0.22, linewidth=0)
        label = f"Eq. 9 fitted to one learner, {CONFIDENCE:.0%} band"
        ax.plot(counts, [band.value for band in found], color=COLORS["val"], linewidth=1.2, label=label)
    _simulated(ax, alone, together, lambda row: row["rate"] / alone[0]["rate"])
    _measured(ax, points, "speedup")
    _actor_axis(ax, most)
    _log_axis(ax)
    heading(ax, "speed-up over one learner with one actor", legend=False)
    ax.legend(loc="upper left", fontsize=7.5)
    return figure


@styled
def efficiency(points: Rows, alone: Rows, together: Rows) -> Figure:
    """Parallel efficiency (Eq. 1) by actors: measured and simulated."""
    figure, ax = new_axes(THIRD)
    most = max(row["actors"] for row in alone)
    ax.axhline(1, **IDEAL)
    _simulated(ax, alone, together, lambda row: row["rate"] / alone[0]["rate"] / row["workers"])
    _measured(ax, points, "efficiency")
    _actor_axis(ax, most)
    ax.set_ylim(0, max(1.15, *(1.1 * point["efficiency"]["value"] for point in points)))
    percent(ax)
    heading(ax, "parallel efficiency (Eq. 1)", legend=False)
    return figure


@styled
def use_and_overhead(points: Rows, together: Rows) -> Figure:
    """Utilisation (Eq. 12) and the share of averages of gradients in an iteration, by actors."""
    figure, ax = new_axes(THIRD)
    for key, color, label in (("utilisation", "optimizer", "utilisation"), ("share", "backward", "communication")):
        values = [{**row, "share": row["communication"] / row["seconds"]}[key] for row in together]
        ax.plot([row["workers"] for row in together], values, color=COLORS[color], **SIMULATED)
        for marker, chosen in _kinds(points):
            parts = [{**p, "share": p["iteration"]["communication"] / p["iteration"]["measured"]}[key] for p in chosen]
            shown = label if marker == "o" else None
            x = [p["workers"] for p in chosen]
            ax.plot(x, parts, marker, color=COLORS[color], markersize=5, label=shown, zorder=5)
    _actor_axis(ax, max(row["workers"] for row in together))
    ax.set_ylim(0, 1.05)
    percent(ax)
    heading(ax, "share of time", legend=False)
    ax.legend(loc=(0.03, 0.16), fontsize=7.5)
    return figure


def _kinds(points: Rows) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Markers, and the points that have them: of one learner, and of several."""
    kinds = [("o", [p for p in points if p["learners"] == 1]), ("s", [p for p in points if p["learners"] > 1])]
    return [(marker, chosen) for marker, chosen in kinds if chosen]


def _measured(ax: Axes, points: Rows, key: str) -> None:
    for marker, chosen in _kinds(points):
        ax.errorbar(
            [point["workers"] for point in chosen],
            [point[key]["value"] for point in chosen],
            [point[key]["error"] for point in chosen],
            fmt=marker,
            markersize=5,
            color=COLORS["train"],
            elinewidth=1,
            zorder=5,
            label="measured" + ("" if marker == "o" else ", several learners"),
        )


def _simulated(ax: Axes, alone: Rows, together: Rows, of: Any) -> None:
    for rows, color, label in ((alone, "muted", "one learner"), (together, "test", "learners in step")):
        rows = [{"workers": row["actors"], **row} if "workers" not in row else row for row in rows]
        values = [of(row) for row in rows]
        ax.plot([row["workers"] for row in rows], values, color=COLORS[color], **SIMULATED, label=f"simulated, {label}")


# -- iterations ----------------------------------------------------------------------------------------


@styled
def iterations(rows: Mapping[str, Mapping[str, float]]) -> Figure:
    """Parts of an iteration of a learner by run, ms, each over the other."""
    figure, ax = new_axes((6.65, 0.75 + 0.27 * len(rows)))
    places, floor = np.arange(len(rows)), np.zeros(len(rows))
    for part, (label, color) in PARTS.items():
        width = 1e3 * np.array([row[part] for row in rows.values()])
        ax.barh(places, width, left=floor, color=COLORS[color], height=0.66, linewidth=0, label=label)
        floor = floor + width
    ax.set_yticks(places, list(rows))
    ax.tick_params(axis="y", labelcolor=COLORS["ink"], length=0)
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.xaxis.set_major_locator(MaxNLocator(8))
    ax.set_xlabel("ms an update")
    figure.legend(loc="outside upper left", ncols=4, columnspacing=1.2)
    return figure


@styled
def simulated_iterations(rows: Rows, title: str) -> Figure:
    """Parts of a simulated iteration by learners, as shares."""
    figure, ax = new_axes(HALF)
    names = {
        "computation": "computation",
        "communication": "communication",
        "wait": "rollout_wait",
        "step": "step_wait",
    }
    places, floor = np.arange(len(rows)), np.zeros(len(rows))
    for part, (label, color) in PARTS.items():
        height = np.array([row[names[part]] / row["seconds"] for row in rows])
        label = "wait for other learners" if part == "step" else label
        ax.bar(places, height, bottom=floor, color=COLORS[color], width=0.72, linewidth=0, label=label)
        floor = floor + height
    ax.set_xticks(places, [f"{row['learners']:,}" for row in rows])
    ax.set_xlabel("learners")
    ax.set_ylim(0, 1)
    ax.grid(visible=False)
    percent(ax)
    heading(ax, title, legend=False)
    return figure


@styled
def weak_scaling(cases: Rows) -> Figure:
    """Simulated efficiency of learners in step, with and without optimised communication, for each case."""
    figure, ax = new_axes(HALF)
    colors = ("train", "val", "backward", "test")
    for case, color in zip(cases, colors, strict=False):
        for key, style in (("full", "solid"), ("without", (0, (2, 2)))):
            rows = case[key]
            label = case["name"] if key == "full" else None
            values = [row["efficiency"] for row in rows]
            ax.plot([row["learners"] for row in rows], values, color=COLORS[color], linestyle=style, label=label)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(LogLocator(base=4, numticks=12))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.set_xlabel("learners (dashed: communication not optimised)")
    ax.set_ylim(0, 1.05)
    percent(ax)
    heading(ax, "efficiency", legend=False)
    ax.legend(loc="lower left", bbox_to_anchor=(0.02, 0.03), fontsize=7.5)
    return figure


# -- load: Fig. 4 --------------------------------------------------------------------------------------


@styled
def load(name: str, loads: Sequence[float], most: float) -> Figure:
    """Seconds that each worker is busy under a scheduler, and their mean."""
    figure, ax = new_axes(SMALL)
    values = np.asarray(loads)
    ax.bar(np.arange(len(values)), values, color=COLORS["forward"], width=0.74, linewidth=0)
    ax.axhline(values.mean(), color=COLORS["ink"], linewidth=0.9, dashes=(4, 3))
    ax.set(xlabel="worker", ylim=(0, 1.05 * most))
    ax.grid(axis="x", visible=False)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    title = f"{name}: γ {gamma(values):.2f}, σ {relative_sigma_load(values):.0%} of the mean, s"
    ax.set_title(title, color=COLORS["ink"], pad=7)
    return figure


# -- axes ----------------------------------------------------------------------------------------------


def polar_axes(size: tuple[float, float]) -> tuple[Figure, PolarAxes]:
    """As new_axes, with angles and radii."""
    figure = Figure(figsize=size, dpi=RASTER_DPI, layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.add_subplot(projection="polar")


def heading(ax: Axes, title: str, *, legend: bool = True, columns: int = 3) -> None:
    """The unit above the axis, where it needs no turned head."""
    ax.set_title(title, color=COLORS["ink"], pad=7)
    if legend:
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1.02), ncols=columns)


def percent(ax: Axes) -> None:
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))


def _actor_axis(ax: Axes, most: int) -> None:
    ax.set_xscale("log", base=2)
    ax.set_xlim(0.85, 1.2 * most)
    ax.xaxis.set_major_locator(LogLocator(base=4 if most > 64 else 2, numticks=12))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.set_xlabel("actors of all learners")


def _log_axis(ax: Axes) -> None:
    ax.set_yscale("log", base=2)
    ax.yaxis.set_major_locator(LogLocator(base=4, numticks=12))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
