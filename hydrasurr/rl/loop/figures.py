"""The figures of a loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hydrasurr.rl.loop.comparison import Comparison, Molecule, Wanted
from hydrasurr.training.figure_style import COLORS, new_axes, styled

LARGE, HALF = (4.95, 4.6), (4.95, 2.75)
"""Sizes in inches, of pages of 10.2 inches."""
ROUNDS = LinearSegmentedColormap.from_list("rounds", ["#8fbcf2", "#4a86e0", "#6a4fc8", "#a63d9c", "#d0574b"])
"""First round to last; all tones in the middle, to be seen on white and on black."""


@styled
def parity(rounds: Sequence[Sequence[Molecule]], verified: Sequence[Molecule], wanted: Wanted, unit: str) -> Figure:
    """Prediction against truth of all labelled molecules, coloured by their round, and of the verified best."""
    figure, ax = new_axes(LARGE)
    limits = _limits([m for group in (*rounds, verified) for m in group if m.true is not None], wanted)
    ax.axvspan(wanted.low, wanted.high, color=COLORS["grid"], linewidth=0, zorder=0)
    ax.axhspan(wanted.low, wanted.high, color=COLORS["grid"], linewidth=0, zorder=0)
    ax.axline((limits[0], limits[0]), slope=1, color=COLORS["muted"], linewidth=0.8, dashes=(4, 3), zorder=1)
    for number, group in enumerate(rounds):
        color = ROUNDS(number / max(len(rounds) - 1, 1))
        for marker, some in (("o", "promising"), ("^", "uncertain"), ("s", "diverse")):
            points = _points([m for m in group if m.why == some], limits)
            ax.plot(*points, marker, color=color, markersize=4, alpha=0.8, markeredgewidth=0, clip_on=False)
        if group:
            ax.plot([], [], "o", color=color, markersize=4, label=f"round {number}")
    style = {"markerfacecolor": "none", "markeredgewidth": 0.9, "markersize": 5, "clip_on": False}
    ax.plot(*_points(verified, limits), "D", color=COLORS["test"], label="verified", **style)
    ax.set(xlim=limits, ylim=limits, xlabel=f"oracle ({unit})", ylabel=f"surrogate ({unit})")
    ax.set_box_aspect(1)
    ax.legend(loc="lower right", fontsize=7.5, labelspacing=0.35)
    return figure


def _limits(known: Sequence[Molecule], wanted: Wanted) -> tuple[float, float]:
    """The range of both axes: the wanted one and almost all values; few that are far off are drawn at its edge."""
    values = np.array([(m.true, m.predicted) for m in known]).reshape(-1, 2)
    ends = np.quantile(values, [0.02, 0.98], axis=0) if len(values) else np.empty((0, 2))
    low, high = (float(end) for end in (min([wanted.low, *ends.flat]), max([wanted.high, *ends.flat])))
    margin = 0.1 * (high - low) or 1.0
    return low - margin, high + margin


def _points(molecules: Sequence[Molecule], limits: tuple[float, float]) -> np.ndarray:
    """float64 `[2, n]`: truths and predictions, those beyond the limits at their edge."""
    known = [(m.true, m.predicted) for m in molecules if m.true is not None]
    return np.clip(np.array(known, float).reshape(-1, 2).T, *limits)


@styled
def errors(compared: Sequence[Comparison], held_out: Sequence[float | None], unit: str) -> Figure:
    """MAE and bias on the promising molecules of each round, and the MAE on the test split of the first data set."""
    figure, ax = new_axes(HALF)
    rounds = np.arange(len(held_out))
    nothing = [None] * (len(held_out) - len(compared))
    _line(ax, rounds, [c.mae for c in compared] + nothing, "val", "MAE, promising")
    _line(ax, rounds, [c.bias for c in compared] + nothing, "backward", "bias, promising")
    _line(ax, rounds, list(held_out), "train", "MAE, first test split")
    ax.axhline(0, color=COLORS["muted"], linewidth=0.8)
    _round_axis(ax, len(held_out))
    _heading(ax, unit)
    return figure


@styled
def hits(compared: Sequence[Comparison], final: Comparison) -> Figure:
    """Part of the promising that is in the wanted range by the surrogate, and by the oracle; at the end of the best."""
    figure, ax = new_axes(HALF)
    rounds = np.arange(len(compared) + 1)
    for key, color, name in (("predicted_hits", "train", "by the surrogate"), ("hits", "test", "by the oracle")):
        values = [getattr(c, key) for c in (*compared, final)]
        _line(ax, rounds, [None if value is None else 100 * value for value in values], color, name)
    ax.set_ylim(-3, 105)
    _round_axis(ax, len(rounds))
    names = [str(number) for number in rounds[:-1]] + ["verified"]
    ax.set_xticks(rounds, names)
    _heading(ax, "% in the wanted range")
    return figure


@styled
def distribution(groups: Mapping[str, np.ndarray], wanted: Wanted, unit: str) -> Figure:
    """How the truths of groups of molecules are distributed."""
    figure, ax = new_axes(HALF)
    groups = {name: values[np.isfinite(values)] for name, values in groups.items()}
    every = np.concatenate([np.array([wanted.low, wanted.high]), *groups.values()])
    ends = np.quantile(every, [0.01, 0.99])
    edges = np.linspace(min(ends[0], wanted.low), max(ends[1], wanted.high), 41)
    ax.axvspan(wanted.low, wanted.high, color=COLORS["grid"], linewidth=0, zorder=0)
    for (name, values), color in zip(groups.items(), ("load", "train", "test"), strict=False):
        heights = 100 * np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / max(len(values), 1)
        ax.stairs(heights, edges, color=COLORS[color], fill=True, alpha=0.2, linewidth=0)
        ax.stairs(heights, edges, color=COLORS[color], linewidth=1.3, label=f"{name} ({len(values)})")
    ax.set(xlabel=f"oracle ({unit})", xlim=(edges[0], edges[-1]))
    ax.grid(axis="x", visible=False)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set_title("% of each group", color=COLORS["ink"], pad=7)
    ax.legend(loc="upper right", labelspacing=0.35)
    return figure


def _line(ax: Axes, rounds: np.ndarray, values: Sequence[float | None], color: str, name: str) -> None:
    points = np.array([np.nan if value is None else value for value in values], float)
    ax.plot(rounds, points, "o-", color=COLORS[color], markersize=4, label=name)


def _round_axis(ax: Axes, count: int) -> None:
    ax.set_xlim(-0.3, count - 0.7)
    ax.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}".replace("-", "\u2212")))
    ax.set_xlabel("round")


def _heading(ax: Axes, title: str) -> None:
    """The unit above the axis, where it needs no turned head; the legend to its right."""
    ax.set_title(title, color=COLORS["ink"], pad=7)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1.02), ncols=3)
