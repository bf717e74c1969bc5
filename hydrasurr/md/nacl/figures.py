"""The figures of a study of rock salt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from hydrasurr.md.nacl.model import KINDS
from hydrasurr.md.study.figures import COLOR, NAMES
from hydrasurr.training.figure_style import COLORS, new_axes, styled
from hydrasurr.training.figures import HALF, THIRD, WIDE

STAND_INS = ("train", "val", "test", "backward", "load", "optimizer", "forward", "all_reduce", "evaluate")
"""Colours of what stands for reciprocal space, in order."""
PART_COLORS = {
    "pair": "train",
    "short": "train",
    "near": "forward",
    "k-space": "val",
    "far": "val",
    "neighbours": "load",
    "other": "load",
}
FULL = (10.0, 3.2)
LABEL_WIDTH, LABEL_HEIGHT = 1.0, 0.17
"""Of names in the figure of gains: in times of speed, and in decades of error."""

Curves = Mapping[str, Mapping[str, np.ndarray]]
"""Run -> arrays of its stage."""


def name_of(run: str) -> str:
    """What a run or a stand-in is called."""
    fixed = {
        "reference": "reference",
        "again": "reference, other start",
        "p3m": "P3M",
        "none": "no far part",
        "graph": "graph network",
    }
    if run.startswith("dsf-"):
        return f"shifted forces, {run.removeprefix('dsf-')} Å"
    return fixed.get(run) or NAMES.get(run) or f"learned {run}"


def color_of(run: str, stand_ins: Sequence[str] = ()) -> str:
    if run in ("reference", "p3m"):
        return COLORS["ink"]
    if run in ("again", "none"):
        return COLORS["muted"]
    if run in stand_ins:
        return COLORS[STAND_INS[list(stand_ins).index(run) % len(STAND_INS)]]
    return COLORS[COLOR.get(run, "train")]


@styled
def radial(curves: Curves, kind: int, stand_ins: Sequence[str] = (), legend: bool = False) -> Figure:
    """g(r) of one kind of pair of all runs."""
    figure, ax = new_axes(WIDE if legend else THIRD)
    for name, curve in curves.items():
        ax.plot(curve["r"], curve["g"][kind], **_line(name, stand_ins))
    ax.set(xlim=(2, curves["reference"]["r"][-1]), ylim=(0, None), xlabel="r (Å)")
    _heading(ax, f"g(r) of {KINDS[kind]}", "upper right" if legend else None)
    return figure


@styled
def radial_deviation(curves: Curves, kind: int, stand_ins: Sequence[str] = ()) -> Figure:
    """g(r) of one kind less that of the reference."""
    figure, ax = new_axes(THIRD)
    reference = curves["reference"]
    for name in curves:
        if name != "reference":
            difference = curves[name]["g"][kind] - reference["g"][kind]
            ax.plot(reference["r"], difference, **{**_line(name, stand_ins), "linewidth": 1})
    ax.axhline(0, color=COLORS["ink"], linewidth=0.8)
    ax.set(xlim=(2, reference["r"][-1]), xlabel="r (Å)")
    _heading(ax, f"g(r) - g(r) of the reference, {KINDS[kind]}")
    return figure


@styled
def breakdown(sizes: Sequence[Mapping[str, Any]], roads: Mapping[str, str], key: str, title: str) -> Figure:
    """Milliseconds a step for each thousand ions: bars of parts, side by side for each road (name -> what it is
    called), over system size."""
    figure, ax = new_axes(HALF)
    width = 0.8 / len(roads)
    labelled = set()
    for place, size in enumerate(sizes):
        for k, road in enumerate(roads):
            x, bottom = place + (k - (len(roads) - 1) / 2) * width, 0.0
            for part, value in size[key][road].items():
                height = 1000 * value / size["ions"]
                label = None if part in labelled else part
                labelled.add(part)
                ax.bar(x, height, 0.9 * width, bottom, color=COLORS[PART_COLORS[part]], label=label)
                bottom += height
            text = list(roads.values())[k]
            ax.text(x, bottom, f" {text}", rotation=90, ha="center", va="bottom", fontsize=7.5, color=COLORS["muted"])
    ax.set_xticks(range(len(sizes)), [f"{size['ions']:,}" for size in sizes])
    ax.set(xlabel="ions", ylim=(0, 1.45 * ax.dataLim.ymax))
    ax.grid(axis="x", visible=False)
    _heading(ax, title, "above")
    return figure


@styled
def errors_by_place(far: Mapping[str, Any], places: Mapping[str, str]) -> Figure:
    """Errors of forces by where they are tested, a line of markers for each stand-in."""
    figure, ax = new_axes(FULL)
    shown = [name for name in far if name != "p3m"]
    colored = [name for name in shown if name != "none"]
    for k, name in enumerate(shown):
        values = [1000 * far[name]["places"][place]["force"] for place in places]
        x = np.arange(len(places)) + (k - (len(shown) - 1) / 2) * 0.09
        marker = "x" if name == "none" else "s" if name.startswith("dsf") else "o"
        ax.plot(x, values, marker, color=color_of(name, colored), label=name_of(name), markersize=5.5)
    ax.set_xticks(range(len(places)), list(places))
    ax.set(yscale="log")
    _log_ticks(ax.yaxis)
    ax.grid(axis="x", visible=False)
    _heading(ax, "error of forces (meV/Å)", "side")
    return figure


@styled
def gain(points: Mapping[str, tuple[float, float]], kinds: Mapping[str, str]) -> Figure:
    """Errors of forces (meV/Angstrom) over speed, the reference being 1: each point by name, `kinds` its colour."""
    figure, ax = new_axes((6.65, 3.7))
    for name, (speed, error) in points.items():
        ax.plot(speed, error, "o", color=COLORS[kinds[name]], markersize=6.5)
    _label(ax, points)
    ax.set(yscale="log", xlabel="speed, the reference being 1")
    low, high = min(s for s, _ in points.values()), max(s for s, _ in points.values())
    ax.set_xlim(min(0.8, low - 0.1), high + 0.45 * (high - low) + 0.3)
    errors = [error for _, error in points.values()]
    ax.set_ylim(0.5 * min(errors), 2.5 * max(errors))
    _log_ticks(ax.yaxis)
    _heading(ax, "error of forces (meV/Å)")
    return figure


def _label(ax: Axes, points: Mapping[str, tuple[float, float]]) -> None:
    """Names beside points; those of points that are close one below the other."""
    placed: list[tuple[float, float]] = []
    for name, (speed, error) in sorted(points.items(), key=lambda item: item[1][1]):
        height = np.log10(error)
        for other, there in sorted(placed, key=lambda label: label[1]):
            if abs(speed - other) < LABEL_WIDTH and abs(height - there) < LABEL_HEIGHT:
                height = there + LABEL_HEIGHT
        placed.append((speed, height))
        ax.text(speed + 0.05, 10**height, name, fontsize=8, va="center")


@styled
def pressures(dynamics: Mapping[str, Any], stand_ins: Sequence[str]) -> Figure:
    """Mean pressures with errors, one run below the other."""
    figure, ax = new_axes(HALF)
    names = [name for name in ("reference", "again", *stand_ins) if "failed" not in dynamics[name]]
    for row, name in enumerate(names):
        value = dynamics[name]["pressure"]
        error = (value["error"] or 0) / 1e4
        ax.errorbar(value["mean"] / 1e4, row, xerr=error, fmt="o", color=color_of(name, stand_ins), markersize=5)
    ax.axvline(dynamics["reference"]["pressure"]["mean"] / 1e4, color=COLORS["muted"], linewidth=0.8)
    ax.set_yticks(range(len(names)), [name_of(name) for name in names])
    ax.set(ylim=(len(names) - 0.5, -0.5))
    ax.grid(axis="y", visible=False)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    _heading(ax, "mean pressure (GPa)")
    return figure


@styled
def madelung_errors(found: Mapping[str, Any]) -> Figure:
    """Errors of Madelung's constant by the accuracy that P3M is asked for, and that of Ewald's sum."""
    figure, ax = new_axes(THIRD)
    asked = [float(name) for name in found["p3m"]]
    ax.plot(asked, [abs(v - found["exact"]) for v in found["p3m"].values()], "o-", color=COLORS["train"], label="P3M")
    ewald = max(abs(found["ewald"] - found["exact"]), 1e-16)
    ax.axhline(ewald, color=COLORS["val"], linewidth=1.2, label="Ewald's sum")
    ax.axhline(1e-8, color=COLORS["muted"], linewidth=0.8, dashes=(4, 3), label="1e-8")
    ax.set(xscale="log", yscale="log", xlabel="accuracy of forces asked for (eV/Å)")
    ax.invert_xaxis()
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_locator(LogLocator(numticks=6))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0e}"))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0e}"))
    _heading(ax, "error of Madelung's constant", "center left")
    return figure


def _line(name: str, stand_ins: Sequence[str]) -> dict[str, Any]:
    """The reference below all others, broad; its repetition dashed."""
    style = {"label": name_of(name), "color": color_of(name, stand_ins), "linewidth": 1.1}
    if name == "reference":
        return {**style, "linewidth": 2.6, "zorder": 1.5}
    return {**style, "dashes": (3, 2)} if name == "again" else style


def _log_ticks(axis: Any) -> None:
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def _heading(ax: Axes, title: str, legend: str | None = None) -> None:
    """The unit above the axis, where it needs no turned head; a legend "above", at the "side", or where matplotlib
    calls it so."""
    ax.set_title(title, color=COLORS["ink"], pad=7)
    if legend == "above":
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1.02), ncols=4)
    elif legend == "side":
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), labelspacing=0.5)
    elif legend:
        ax.legend(loc=legend, labelspacing=0.35, ncols=2 if len(ax.lines) > 4 else 1)
