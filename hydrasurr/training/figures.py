"""The figures of a report: arrays in, a matplotlib Figure out, and from there inline SVG.

Nothing here touches pyplot or leaves a global setting changed. Each panel is a figure of its own, so that a page
can arrange them to its width. Colours are those of COLORS; in the SVG they become CSS variables, which lets the
page decide between light and dark.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from hydrasurr.tables import coefficient, significant

COLORS = {
    "ink": "#1d2531",
    "muted": "#6a7482",
    "grid": "#e4e7eb",
    "train": "#4a74b4",
    "val": "#d98323",
    "test": "#1f9a86",
    "load": "#9ca7b5",
    "forward": "#5688d6",
    "backward": "#7b5fc0",
    "all_reduce": "#b9a4e6",
    "optimizer": "#dfa13c",
    "evaluate": "#35a48f",
}
"""Name of a CSS variable -> its colour in light mode; no two alike, since the SVG is searched for them."""

STYLE = {
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.labelcolor": COLORS["muted"],
    "axes.edgecolor": COLORS["muted"],
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": COLORS["grid"],
    "grid.linewidth": 0.7,
    "text.color": COLORS["ink"],
    "text.parse_math": False,
    "xtick.color": COLORS["muted"],
    "ytick.color": COLORS["muted"],
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handlelength": 1.2,
    "legend.borderaxespad": 0.0,
    "legend.columnspacing": 1.4,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "svg.fonttype": "none",
}

WIDE = (6.65, 2.9)
THIRD = (3.3, 2.9)
SMALL = (3.2, 2.25)
SQUARE = (3.3, 3.3)
SMALL_SQUARE = (2.5, 2.5)
"""Sizes in inches: a page gives figures 10.2 inches, two thirds for a wide one, or four small squares."""

RASTER_DPI = 200
"""Of the clouds of points, which would be large as vectors."""

DENSITY = LinearSegmentedColormap.from_list("density", ["#8fbcf2", "#4a86e0", "#6a4fc8", "#a63d9c"])
"""Few points to many; all tones in the middle, to be seen on white and on black."""

LOG_RATIO = 5
"""A positive quantity whose largest value is this many times its smallest gets a log axis."""

STACK = ("load", "forward", "backward", "all_reduce", "optimizer", "evaluate")

Members = Sequence[Sequence[Mapping[str, Any]]]
"""For each member of an ensemble the records of its epochs (EpochRecord as a dictionary)."""

styled = matplotlib.rc_context(STYLE)
"""Decorator of everything that makes artists, which take their style when they are made."""


def to_svg(figure: Figure, name: str, label: str) -> str:
    """An `<svg>` element to stand in HTML, with `label` read to those who do not see it.

    `name` is part of the ids, so no two figures of a page may have the same. The same figure gives the same text.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        XX
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1), count=1)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # numbered anew in every figure, referred to by none
    for variable, color in COLORS.items():
        svg = svg.replace(color, f"var(--{variable}, {color})")
    escaped = label.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return svg.replace("<svg", f'<svg role="img" aria-label="{escaped}"', 1)


# -- training -----------------------------------------------------------------------------------------


@styled
def mae_curve(members: Members, target: str, unit: str, size: tuple[float, float] = SMALL, title: str = "") -> Figure:
    """MAE of a target after each epoch on the training and the validation split, the best epochs marked."""

    def mae(record: Mapping[str, Any], split: str) -> float:
        return ((record[split] or {}).get(target) or {}).get("mae", np.nan)

    return _curves(members, {split: lambda r, s=split: mae(r, s) for split in ("train", "val")}, _with_unit("MAE", unit), size, title)


@styled
def loss_curve(members: Members, size: tuple[float, float] = WIDE) -> Figure:
    """What is minimised, and the validation loss that the best epoch is chosen by."""
    quantities = {"train": lambda r: r["train_loss"], "val": lambda r: _number(r["val_loss"])}
    return _curves(members, quantities, "loss of standardised targets", size, "")


@styled
def learning_rate(members: Members, size: tuple[float, float] = THIRD) -> Figure:
    """The learning rate at the end of each epoch."""
    return _curves(members, {"muted": lambda r: r["lr"]}, "learning rate", size, "", best=False)


def _curves(members: Members, quantities: Mapping[str, Any], ylabel: str, size: tuple[float, float], title: str, best: bool = True) -> Figure:
    """A line a member and quantity; quantities are named by their colour."""
    figure, ax = _axes(size)
    everything = []
    last = max((record["epoch"] + 1 for records in members for record in records), default=1)
    for color, quantity in quantities.items():
        for index, records in enumerate(members):
            epochs = np.array([record["epoch"] + 1 for record in records])
            values = np.array([quantity(record) for record in records], dtype=float)
            seen = np.isfinite(values)  # epochs without an evaluation are skipped over
            everything.append(values[seen])
            ax.plot(
                epochs[seen],
                values[seen],
                color=COLORS[color],
                alpha=1 if len(members) == 1 else 0.65,
                linewidth=1.6 if len(members) == 1 else 1.1,
                marker="o" if last <= 15 else None,
                markersize=3,
                label=color if index == 0 else None,
            )
            chosen = [k for k, record in enumerate(records) if record["best"] and seen[k]]
            if best and color == "val" and chosen:
                k = chosen[-1]
                ax.plot(
                    epochs[k], values[k], "o", markersize=6.5, markerfacecolor="none", markeredgewidth=1.4,
                    color=COLORS["val"], label="best epoch" if index == 0 else None, zorder=5,
                )  # fmt: skip
    values = np.concatenate(everything) if everything else np.empty(0)
    if values.size and values.min() > 0 and values.max() > LOG_RATIO * values.min():
        _log_axis(ax)
    else:
        ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlim(1 - 0.02 * last, last * 1.02)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.set_xlabel("epoch")
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
def timing(members: Members, size: tuple[float, float] = WIDE) -> Figure:
    """Seconds of each epoch by phase, stacked; members of an ensemble one after another."""
    figure, ax = _axes(size)
    parts = stack([record for records in members for record in records])
    epochs = len(parts["load"])
    edges, floor = np.arange(epochs + 1) + 0.5, np.zeros(epochs)
    for phase, seconds in parts.items():
        if seconds.any():
            ax.stairs(floor + seconds, edges, baseline=floor, fill=True, color=COLORS[phase], label=phase, linewidth=0)
            floor = floor + seconds
    ax.set_xlim(0.5, max(epochs, 1) + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.grid(axis="x", visible=False)
    ax.set_xlabel("epoch" if len(members) == 1 else "epoch, members one after another")
    _heading(ax, "", "seconds", legend=False)
    return figure


# -- predictions --------------------------------------------------------------------------------------


def parity_limits(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """The range of both axes: all labels, and the predictions not wildly beyond them."""
    if not labels.size:
        return 0.0, 1.0
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
    size: tuple[float, float] = SQUARE,
) -> Figure:
    """Predicted against reference values `[n]`, coloured by the density of points, with the metrics in a corner."""
    figure, ax = _axes(size)
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
    cells = [np.clip(((v - limits[0]) * scale).astype(int), 0, bins - 1) for v in (x, y)]
    counts = np.zeros((bins, bins))
    np.add.at(counts, tuple(cells), 1)
    # Spread over neighbours, or the cells of a sparse plot show as a checkerboard.
    padded = np.pad(counts, 1)
    smooth = sum(padded[i : i + bins, j : j + bins] for i in range(3) for j in range(3))
    density = np.log1p(smooth[tuple(cells)])
    order = np.argsort(density, kind="stable")
    return order, density[order] / max(density.max(initial=0), 1e-12)


@styled
def error_histogram(
    errors: Mapping[str, np.ndarray], unit: str, title: str, size: tuple[float, float] = SQUARE
) -> Figure:
    """The distribution of absolute errors (split -> `[n]`); median and 95th percentile of the last split."""
    figure, ax = _axes(size)
    sizes = {split: np.abs(values) for split, values in errors.items() if len(values)}
    main = list(sizes)[-1] if sizes else None
    end = max((float(np.quantile(values, 0.995)) for values in sizes.values()), default=1.0) or 1.0
    fewest = min((len(values) for values in sizes.values()), default=1)
    edges = np.linspace(0, end, 1 + int(np.clip(3 * fewest ** (1 / 3), 8, 48)))
    for split, values in sizes.items():
        heights = np.histogram(values, edges)[0] / len(values) * 100
        if split == main:
            ax.stairs(heights, edges, fill=True, color=COLORS[split], alpha=0.28, linewidth=0)
        ax.stairs(heights, edges, color=COLORS[split], linewidth=1.3, label=split)
    if main:
        top = 1.08 * ax.get_ylim()[1]
        for quantile, name in ((0.5, "median"), (0.95, "95 %")):
            value = float(np.quantile(sizes[main], quantile))
            ax.axvline(value, ymax=0.62 if quantile > 0.5 else 0.97, color=COLORS["ink"], linewidth=0.9, dashes=(3, 2))
            height = top * (0.63 if quantile > 0.5 else 0.98)
            align = ("center", "bottom") if quantile > 0.5 and value < 0.7 * end else ("left", "top")
            if quantile > 0.5 and value >= 0.7 * end:
                align = ("right", "bottom")
            text = f"{name}\n{_with_unit_after(value, unit if _is_large(size) else '')}"
            ax.text(value + (0.015 * end if align[0] == "left" else 0), height, text, ha=align[0], va=align[1])
        ax.set_ylim(0, top)
    ax.set_xlim(0, end)
    ax.set_box_aspect(1 if size[0] == size[1] else None)
    ax.grid(axis="x", visible=False)
    ax.xaxis.set_major_locator(MaxNLocator(5 if _is_large(size) else 3))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set(xlabel=_with_unit("absolute error", unit), ylabel="% of predictions")
    ax.legend(loc="upper right")
    ax.set_title(title, weight="bold", pad=6)
    return figure


def calibration_bins(error: np.ndarray, std: np.ndarray, bins: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Root mean square of the predicted std and of the error, in bins of equally many points by their std."""
    order = np.argsort(std, kind="stable")
    parts = [part for part in np.array_split(order, min(bins, len(order))) if len(part)]
    return tuple(np.array([np.sqrt(np.mean(values[part] ** 2)) for part in parts]) for values in (std, error))


@styled
def calibration(
    error: np.ndarray, std: np.ndarray, unit: str, title: str, size: tuple[float, float] = SQUARE
) -> Figure:
    """RMSE against predicted uncertainty: on the diagonal, the model knows how wrong it is."""
    figure, ax = _axes(size)
    expected, observed = calibration_bins(error, std)
    end = 1.08 * max(expected.max(initial=0), observed.max(initial=0)) or 1.0
    ax.axline((0, 0), slope=1, color=COLORS["muted"], linewidth=0.8, dashes=(4, 3))
    ax.plot(expected, observed, "o-", color=COLORS["test"], markersize=4, linewidth=1.1)
    ax.set(xlim=(0, end), ylim=(0, end), xlabel=_with_unit("predicted std", unit), ylabel=_with_unit("RMSE", unit))
    ax.set_box_aspect(1)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    within = [np.mean(np.abs(error) <= k * std) * 100 for k in (1, 2)] if len(error) else [np.nan, np.nan]
    text = f"within 1 std  {within[0]:.1f} % (normal: 68.3)\nwithin 2 std  {within[1]:.1f} % (normal: 95.4)"
    ax.text(0.04, 0.96, text, transform=ax.transAxes, va="top", linespacing=1.45)
    ax.set_title(title, weight="bold", pad=6)
    return figure


# -- data ---------------------------------------------------------------------------------------------


@styled
def degree_histogram(counts: Sequence[int], size: tuple[float, float] = THIRD) -> Figure:
    """Part of the nodes that has each in-degree."""
    figure, ax = _axes(size)
    parts = np.asarray(counts, dtype=float) / max(sum(counts), 1) * 100
    bars = ax.bar(np.arange(len(parts)), parts, color=COLORS["train"], width=0.72, linewidth=0)
    for bar, part in zip(bars, parts, strict=True):
        if part:
            ax.annotate(
                f"{part:.1f}" if part >= 0.1 else "<0.1", (bar.get_x() + bar.get_width() / 2, part), (0, 2),
                textcoords="offset points", ha="center", fontsize=8, color=COLORS["muted"],
            )  # fmt: skip
    ax.grid(visible=False)
    ax.set_ylim(0, 1.12 * max(parts.max(initial=0), 1.0))
    ax.yaxis.set_major_locator(NullLocator())
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(13, integer=True))
    ax.set_xlabel("neighbours of a node")
    _heading(ax, "", "% of training nodes", legend=False)
    return figure


# -- helpers ------------------------------------------------------------------------------------------


def _axes(size: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, dpi=RASTER_DPI, layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.add_subplot()


def _heading(ax: Axes, title: str, ylabel: str, *, legend: bool) -> None:
    """Title and unit above the axis, where they need no turned head; the legend to their right."""
    ax.set_title(f"{title}   {ylabel}" if title else ylabel, color=COLORS["ink"], pad=7)
    if legend:
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1.02), ncols=3)


def _log_axis(ax: Axes) -> None:
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,), numticks=12))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" if value >= 1e-3 else f"{value:.0e}".replace("e-0", "e-")))


def _is_large(size: tuple[float, float]) -> bool:
    """Whether a panel has room for units and many ticks."""
    return size[0] > SMALL_SQUARE[0]


def _with_unit(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name


def _with_unit_after(value: float, unit: str) -> str:
    return f"{significant(value)} {unit}".rstrip()


def _number(value: float | None) -> float:
    return np.nan if value is None else value
