"""The figures of a report of a design run: records in, a matplotlib Figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from hydrasurr.rl.rewards.scores import best_so_far
from hydrasurr.rl.running.condensed import Record
from hydrasurr.training.figure_style import COLORS, new_axes, styled
from hydrasurr.training.figures import SMALL, THIRD, WIDE

POINTS = 400
"""Of a curve; more would not be seen."""
FEW = 8
"""Bars do not become wider than if there were so many."""
LEARNER = {
    "wait": ("wait for rollouts", "load"),
    "learn": ("learn", "forward"),
    "exposed": ("average gradients", "all_reduce"),
    "publish": ("tell new weights", "optimizer"),
    "save": ("save", "backward"),
    "rest": ("rest", "evaluate"),
}
"""What a learner's time goes into: in words, and its colour."""
ACTOR = {
    "play": ("play", "forward"),
    "reward": ("wait for rewards", "optimizer"),
    "digest": ("prepare what is sent", "evaluate"),
    "load": ("load weights", "backward"),
}
"""The same of actors at work."""

# -- learning ------------------------------------------------------------------------------------------


@styled
def objective(records: Sequence[Record], evaluations: Sequence[Record]) -> Figure:
    """What the molecules were worth with which episodes ended: mean and standard deviation, by actions."""
    figure, ax = new_axes(WIDE)
    known = [record for record in records if record["objective"] is not None]
    actions, mean, std = (np.array([r[key] for r in known]) for key in ("total_frames", "objective", "objective_std"))
    ax.fill_between(actions, mean - std, mean + std, color=COLORS["train"], alpha=0.18, linewidth=0)
    ax.plot(actions, mean, color=COLORS["train"], label="episodes of actors, ± std", **_dots(known))
    if evaluations:
        x, y, spread = (
            [record[key] for record in evaluations] for key in ("total_frames", "objective", "objective_std")
        )
        ax.errorbar(
            x, y, spread, color=COLORS["val"], fmt="o", markersize=3.5, elinewidth=0.9, label="evaluations, ± std"
        )
    _actions(ax, records)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    _heading(ax, "objective", legend=bool(evaluations))
    return figure


@styled
def best(worth: np.ndarray, counts: Sequence[int]) -> Figure:
    """The mean of the best so far, `counts` many, by molecules evaluated; `worth` float64 `[n]` in their order."""
    figure, ax = new_axes(THIRD)
    chosen = np.unique(np.linspace(0, len(worth) - 1, POINTS).astype(int)) if len(worth) else []
    for count, color in zip(counts, ("val", "train", "test"), strict=False):
        ax.plot(np.add(chosen, 1), best_so_far(worth, count)[chosen], color=COLORS[color], label=f"best {count}")
    ax.set(xlabel="different molecules evaluated", xlim=(0, max(len(worth), 1)))
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    _heading(ax, "mean worth", legend=False)
    ax.legend(loc="lower right")
    return figure


@styled
def curve(records: Sequence[Record], values: Sequence[float | None], title: str, floor: float | None = None) -> Figure:
    """One number of each record, by actions; the axis begins at `floor`."""
    figure, ax = new_axes(SMALL)
    y = np.array([np.nan if value is None else value for value in values], np.float64)
    x = np.array([record["total_frames"] for record in records])
    known = np.isfinite(y)
    ax.plot(x[known], y[known], color=COLORS["train"], linewidth=1.3, **_dots(records))
    _actions(ax, records)
    ax.set_ylim(bottom=floor)
    ax.yaxis.set_major_locator(MaxNLocator(4))
    _heading(ax, title, legend=False)
    return figure


# -- time ----------------------------------------------------------------------------------------------


def learner_seconds(record: Record) -> dict[str, float]:
    """In parts that add up to the whole: learning without what it waited for gradients of others."""
    seconds = record["seconds"]
    exposed = min(record["exposed_seconds"], seconds["learn"])
    parts = {**seconds, "learn": seconds["learn"] - exposed, "exposed": exposed}
    whole = parts.pop("all")
    return parts | {"rest": max(whole - sum(parts.values()), 0.0)}


@styled
def shares(
    records: Sequence[Record], parts: Sequence[Mapping[str, float]], kinds: Mapping[str, tuple[str, str]]
) -> Figure:
    """Parts of the time of each record, stacked, by actions; `kinds` as LEARNER."""
    figure, ax = new_axes(THIRD)
    edges = np.array([0, *(record["total_frames"] for record in records)])
    whole = np.array([sum(part.values()) or 1.0 for part in parts])
    floor = np.zeros(len(parts))
    for kind, (_, color) in kinds.items():
        height = 100 * np.array([part.get(kind, 0.0) for part in parts]) / whole
        ax.stairs(floor + height, edges, baseline=floor, fill=True, color=COLORS[color], linewidth=0)
        floor = floor + height
    _actions(ax, records)
    ax.set_ylim(0, 100)
    ax.grid(visible=False)
    _heading(ax, "% of time", legend=False)
    return figure


@styled
def lag(records: Sequence[Record]) -> Figure:
    """Versions between the weights that were acted by and those that learnt from it: least, mean and most."""
    figure, ax = new_axes(WIDE)
    x = [record["total_frames"] for record in records]
    low, mean, high = ([record["lag"][key] for record in records] for key in ("min", "mean", "max"))
    ax.fill_between(x, low, high, color=COLORS["train"], alpha=0.18, linewidth=0, label="least to most")
    ax.plot(x, mean, color=COLORS["train"], label="mean", **_dots(records))
    _actions(ax, records)
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    _heading(ax, "updates")
    return figure


@styled
def load(record: Record) -> Figure:
    """Seconds that each actor was at work, with a result and in vain, and the time there was."""
    figure, ax = new_axes(WIDE)
    known = record["load"]
    busy, vain = np.array(known["busy"]), np.array(known["vain"])
    actors = np.arange(len(busy))
    ax.bar(actors, busy - vain, color=COLORS["forward"], width=0.7, linewidth=0, label="at work")
    if vain.any():
        ax.bar(actors, vain, bottom=busy - vain, color=COLORS["val"], width=0.7, linewidth=0, label="in vain")
    ax.axhline(known["seconds"], color=COLORS["ink"], linewidth=0.9, dashes=(4, 3), label="time there was")
    wide = max(len(busy), FEW)
    ax.set(xlabel="actor", xlim=(-0.6, wide - 0.4), ylim=(0, 1.1 * max(known["seconds"], busy.max())))
    ax.grid(axis="x", visible=False)
    ax.xaxis.set_major_locator(MaxNLocator(12, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    if len(busy) <= FEW:
        ax.set_xticks(actors)
    _heading(ax, "seconds")
    return figure


# -- helpers -------------------------------------------------------------------------------------------


def _dots(records: Sequence[Record]) -> dict[str, object]:
    """A curve of few points shows them."""
    return {"marker": "o", "markersize": 3} if len(records) <= 15 else {}


def _actions(ax: Axes, records: Sequence[Record]) -> None:
    ax.set(xlabel="actions", xlim=(0, max((record["total_frames"] for record in records), default=1)))
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))


def _heading(ax: Axes, title: str, *, legend: bool = True) -> None:
    """The unit above the axis, where it needs no turned head."""
    ax.set_title(title, color=COLORS["ink"], pad=7)
    if legend:
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1.02), ncols=3)
