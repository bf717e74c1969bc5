"""The figures of a report: arrays in, a matplotlib Figure out.

Each panel is a figure of its own, so that a page can arrange them to its width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from hydrasurr.tables import coefficient, significant
from hydrasurr.training.figure_style import COLORS, new_axes, styled

WIDE = (6.65, 2.9)
THIRD = (3.3, 2.9)
HALF = (4.95, 2.5)
SMALL = (3.2, 2.25)
SQUARE = (3.3, 3.3)
SMALL_SQUARE = (2.5, 2.5)
"""Sizes in inches: a page gives figures 10.2 inches, two thirds for a wide one, or four small squares."""

DENSITY = LinearSegmentedColormap.from_list("density", ["#8fbcf2", "#4a86e0", "#6a4fc8", "#a63d9c"])
"""Few points to many; all tones in the middle, to be seen on white and on black."""

LOG_RATIO = 5
"""A positive quantity whose largest value is this many times its smallest gets a log axis."""

STACK = ("load", "forward", "backward", "all_reduce", "optimizer", "evaluate")

Members = Sequence[Sequence[Mapping[str, Any]]]
"""For each member of an ensemble the records of its epochs (EpochRecord as a dictionary)."""

# -- training -----------------------------------------------------------------------------------------


@styled
def mae_curve(members: Members, target: str, unit: str, size: tuple[float, float], title: str = "") -> Figure:
    """MAE of a target after each epoch on the training and the validation split, the best epochs marked."""

    def mae(record: Mapping[str, Any], split: str) -> float:
        return record[split][target]["mae"] if record[split] else np.nan

    quantities = {"train": lambda r: mae(r, "train"), "val": lambda r: mae(r, "val")}
    return _curves(members, quantities, _with_unit("MAE", unit), size, title)


@styled
def loss_curve(members: Members) -> Figure:
    """What is minimised, and the validation loss that the best epoch is chosen by."""
    # Without a validation split, val_loss is the training score under another name.
    quantities = {"train": lambda r: r["train_loss"], "val": lambda r: r["val_loss"] if r["val"] else np.nan}
    return _curves(members, quantities, "loss of standardised targets", WIDE)


@styled
def learning_rate(members: Members) -> Figure:
    """The learning rate at the end of each epoch."""
    figure = _curves(members, {"muted": lambda r: r["lr"]}, "learning rate", THIRD)
    (ax,) = figure.axes
    if ax.get_yscale() == "linear":
        ax.set_ylim(bottom=0)
    return figure


def _curves(
    members: Members,
    quantities: Mapping[str, Callable[[Mapping[str, Any]], float]],
    ylabel: str,
    size: tuple[float, float],
    title: str = "",
) -> Figure:
    """A line for each quantity, which is named by its colour, and member; epochs without a value are passed over."""
    figure, ax = new_axes(size)
    several, last = len(members) > 1, max((r["epoch"] + 1 for records in members for r in records), default=1)
    thin = {"alpha": 0.65, "linewidth": 1.1} if several else {}
    dots = {"marker": "o", "markersize": 3} if last <= 15 else {}
    ring = {"marker": "o", "markersize": 6.5, "markerfacecolor": "none", "markeredgewidth": 1.4, "zorder": 5}
    lines = [
        (color, points[np.isfinite(points[:, 1])].T)
        for color, quantity in quantities.items()
        for points in (np.array([(r["epoch"] + 1, quantity(r), r["best"]) for r in m]).reshape(-1, 3) for m in members)
    ]
    lines = [(color, points) for color, points in lines if points.size]
    decisive = "val" if any(color == "val" for color, _ in lines) else "train"
    for color, (epochs, values, best) in lines:
        ax.plot(epochs, values, color=COLORS[color], label=color, **thin, **dots)
        if color == decisive and best.any():
            k = np.flatnonzero(best)[-1]
            ax.plot(epochs[k], values[k], color=COLORS[color], label="best epoch", linestyle="none", **ring)
    values = np.concatenate([np.empty(0), *(values for _, (_, values, _) in lines)])
    if not values.size:
        ax.text(0.5, 0.5, "no labels", transform=ax.transAxes, ha="center", color=COLORS["muted"])
        ax.yaxis.set_major_locator(NullLocator())
    elif values.min() > 0 and values.max() > LOG_RATIO * values.min():
        _log_axis(ax)
    else:
        ax.yaxis.set_major_locator(MaxNLocator(5))
    _epoch_axis(ax, 1 - 0.02 * last, last * 1.02)
    _heading(ax, title, ylabel, legend=len(quantities) > 1 and not title)
    return figure


def stack(records: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Seconds of each epoch in parts that add up to its whole: `backward` without the `all_reduce` within it.

    Gradient buckets are reduced at the same time as others, so that the sum of their times can exceed the
    backward pass; what exceeds it is left out.
    """
    parts = {phase: np.array([float(r["seconds"].get(phase, 0.0)) for r in records]) for phase in STACK}
    parts["all_reduce"] = np.minimum(parts["all_reduce"], parts["backward"])
    parts["backward"] = parts["backward"] - parts["all_reduce"]
    return parts


@styled
def timing(members: Members) -> Figure:
    """Seconds of each epoch by phase, stacked; members of an ensemble one after another."""
    figure, ax = new_axes(WIDE)
    parts = stack([record for records in members for record in records])
    epochs = len(parts["load"])
    edges, floor = np.arange(epochs + 1) + 0.5, np.zeros(epochs)
    for phase, seconds in parts.items():
        if seconds.any():
            ax.stairs(floor + seconds, edges, baseline=floor, fill=True, color=COLORS[phase], label=phase, linewidth=0)
            floor = floor + seconds
    _epoch_axis(ax, 0.5, epochs + 0.5)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.grid(axis="x", visible=False)
    if len(members) > 1:
        ax.set_xlabel("epoch, members one after another")
    _heading(ax, "", "seconds", legend=False)
    return figure


# -- predictions --------------------------------------------------------------------------------------


def parity_limits(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """The range of both axes: all labels, and the predictions not wildly beyond them."""
    reach = 0.5 * np.ptp(labels)
    values = np.concatenate([labels, np.clip(predicted, labels.min() - reach, labels.max() + reach)])
    low, high = float(values.min()), float(values.max())
    margin = 0.04 * (high - low) or max(abs(low), 1.0) * 0.1
    return low - margin, high + margin


@styled
def parity(
    labels: np.ndarray,
    predicted: np.ndarray,
    metrics: Mapping[str, float],
    limits: tuple[float, float],
    unit: str,
    title: str,
    size: tuple[float, float],
) -> Figure:
    """Predicted against reference values `[n]`, coloured by the density of points, with the metrics in a corner."""
    figure, ax = new_axes(size)
    order, density = _by_density(labels, predicted, limits)
    ax.axline((limits[0], limits[0]), slope=1, color=COLORS["muted"], linewidth=0.8, dashes=(4, 3), zorder=3)
    ax.scatter(
        labels[order],
        predicted[order],
        c=density,
        cmap=DENSITY,
        vmin=0,
        vmax=1,
        s=np.clip(3e4 / max(len(labels), 1), 2.5, 14),
        linewidths=0,
        alpha=0.85,
        rasterized=True,
    )
    ax.set(xlim=limits, ylim=limits, xlabel=_with_unit("reference", unit), ylabel=_with_unit("predicted", unit))
    ax.set_box_aspect(1)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5 if _is_large(size) else 3))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.10g}".replace("-", "\u2212")))
    shown = unit if _is_large(size) else ""
    lines = [f"{key} {_with_unit_after(metrics[key.lower()], shown)}" for key in ("MAE", "RMSE")]
    lines.append(f"R² {coefficient(metrics['r2'])}")
    if outside := int(np.sum((predicted < limits[0]) | (predicted > limits[1]))):
        lines.append(f"{outside} outside")
    ax.text(0.04, 0.96, "\n".join(lines), transform=ax.transAxes, va="top", linespacing=1.45, zorder=4)
    ax.set_title(title, weight="bold", pad=6)
    return figure


def _by_density(x: np.ndarray, y: np.ndarray, limits: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """An order of the points that draws the densest places last, and the density, 0 to 1, in that order."""
    bins = 72
    scale = bins / (limits[1] - limits[0])
    cells = [np.clip((values - limits[0]) * scale, 0, bins - 1).astype(int) for values in (x, y)]
    counts = np.zeros((bins, bins))
    np.add.at(counts, tuple(cells), 1)
    # Spread over neighbours, or the cells of a sparse plot show as a checkerboard.
    padded = np.pad(counts, 1)
    smooth = sum(padded[i : i + bins, j : j + bins] for i in range(3) for j in range(3))
    density = np.log1p(smooth[tuple(cells)])
    order = np.argsort(density, kind="stable")
    return order, density[order] / density.max()


@styled
def error_histogram(errors: Mapping[str, np.ndarray], unit: str, size: tuple[float, float]) -> Figure:
    """The distribution of absolute errors (split -> `[n]`); median and 95th percentile of the last split."""
    figure, ax = new_axes(size)
    absolute = {split: np.abs(values) for split, values in errors.items()}
    end = max(float(np.quantile(values, 0.995)) for values in absolute.values()) or 1.0
    fewest = min(len(values) for values in absolute.values())
    edges = np.linspace(0, end, 1 + int(np.clip(3 * fewest ** (1 / 3), 8, 48)))
    for split, values in absolute.items():
        heights = np.histogram(values, edges)[0] / len(values) * 100
        ax.stairs(heights, edges, color=COLORS[split], linewidth=1.3, label=split)
    ax.stairs(heights, edges, fill=True, color=COLORS[split], alpha=0.28, linewidth=0)
    shown = unit if _is_large(size) else ""
    for quantile, name, height in ((0.5, "median", 0.98), (0.95, "95 %", 0.66)):
        value = float(np.quantile(values, quantile))
        ax.axvline(value, ymax=height, color=COLORS["ink"], linewidth=0.9, dashes=(3, 2))
        left = value < 0.7 * end
        ax.annotate(
            f"{name}\n{_with_unit_after(value, shown)}",
            (value, height),
            (3 if left else -3, 0),
            xycoords=ax.get_xaxis_transform(),
            textcoords="offset points",
            ha="left" if left else "right",
            va="top",
        )
    ax.set_xlim(0, end)
    ax.set_ylim(0, 1.08 * ax.get_ylim()[1])
    ax.set_box_aspect(1 if size[0] == size[1] else None)
    ax.grid(axis="x", visible=False)
    ax.xaxis.set_major_locator(MaxNLocator(5 if _is_large(size) else 3))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set(xlabel=_with_unit("absolute error", unit), ylabel="% of predictions")
    ax.legend(loc="upper right")
    ax.set_title("absolute errors", weight="bold", pad=6)
    return figure


def calibration_bins(error: np.ndarray, std: np.ndarray, bins: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Root mean square of the predicted std and of the error, in bins of equally many points by their std."""
    order = np.argsort(std, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    return tuple(np.array([np.sqrt(np.mean(values[part] ** 2)) for part in parts]) for values in (std, error))


@styled
def calibration(error: np.ndarray, std: np.ndarray, unit: str, title: str) -> Figure:
    """RMSE against predicted uncertainty `[n]`: on the diagonal, the model knows how wrong it is."""
    figure, ax = new_axes(SQUARE)
    expected, observed = calibration_bins(error, std)
    end = 1.08 * max(expected.max(), observed.max()) or 1.0
    ax.axline((0, 0), slope=1, color=COLORS["muted"], linewidth=0.8, dashes=(4, 3))
    ax.plot(expected, observed, "o-", color=COLORS["test"], markersize=4, linewidth=1.1)
    ax.set(xlim=(0, end), ylim=(0, end), xlabel=_with_unit("predicted std", unit), ylabel=_with_unit("RMSE", unit))
    ax.set_box_aspect(1)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    one, two = (np.mean(np.abs(error) <= k * std) * 100 for k in (1, 2))
    text = f"within 1 std: {one:.1f} % (normal: 68.3)\nwithin 2 std: {two:.1f} % (normal: 95.4)"
    ax.text(0.04, 0.96, text, transform=ax.transAxes, va="top", linespacing=1.45)
    ax.set_title(title, weight="bold", pad=6)
    return figure


# -- data ---------------------------------------------------------------------------------------------


@styled
def degree_histogram(counts: Sequence[int]) -> Figure:
    """Part of the nodes that has each in-degree."""
    figure, ax = new_axes(THIRD)
    parts = np.asarray(counts, dtype=float) / max(sum(counts), 1) * 100
    bars = ax.bar(np.arange(len(parts)), parts, color=COLORS["train"], width=0.72, linewidth=0)
    labels = ["" if not part else f"{part:.1f}" if part >= 0.1 else "<0.1" for part in parts]
    ax.bar_label(bars, labels, padding=2, fontsize=8, color=COLORS["muted"])
    ax.grid(visible=False)
    ax.set_ylim(0, 1.12 * max(parts.max(initial=0), 1.0))
    ax.yaxis.set_major_locator(NullLocator())
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(13, integer=True))
    ax.set_xlabel("neighbours of a node")
    _heading(ax, "", "% of training nodes", legend=False)
    return figure


# -- helpers ------------------------------------------------------------------------------------------


def _heading(ax: Axes, title: str, ylabel: str, *, legend: bool) -> None:
    """Title and unit above the axis, where they need no turned head; the legend to their right."""
    ax.set_title(f"{title}   {ylabel}" if title else ylabel, color=COLORS["ink"], pad=7)
    if legend:
        by_name = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))  # one entry for all members
        ax.legend(by_name.values(), by_name.keys(), loc="lower right", bbox_to_anchor=(1, 1.02), ncols=3)


def _epoch_axis(ax: Axes, first: float, last: float) -> None:
    ax.set_xlim(first, last)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    ax.set_xlabel("epoch")


def _log_axis(ax: Axes) -> None:
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5) if high < 100 * low else (1,), numticks=12))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(_log_label))


def _log_label(value: float, _: int) -> str:
    return f"{value:g}" if value >= 1e-3 else f"{value:.0e}".replace("e-0", "e-")


def _is_large(size: tuple[float, float]) -> bool:
    """Whether a panel has room for units and many ticks."""
    return size[0] > SMALL_SQUARE[0]


def _with_unit(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name


def _with_unit_after(value: float, unit: str) -> str:
    return f"{significant(value)} {unit}".rstrip()
