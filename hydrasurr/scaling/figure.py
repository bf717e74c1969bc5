"""Scaling as a figure: bars and filled markers were measured, lines with a band are forecast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from hydrasurr.scaling.analysis import Analysis, Scaled
from hydrasurr.scaling.forecast import CONFIDENCE, Band, Row
from hydrasurr.scaling.models import MODELS
from hydrasurr.scaling.record import BREAKDOWN
from hydrasurr.scaling.table import bytes_text, short
from hydrasurr.training.figure_style import COLORS, RASTER_DPI, STYLE, styled

SIZE = (10.2, 6.4)
MEASURED, FORECAST, FITTED = COLORS["train"], COLORS["val"], COLORS["test"]
PHASE_COLORS = {name: COLORS.get(name, COLORS["evaluate"]) for name in BREAKDOWN}
RANK_COLORS = (COLORS["train"], COLORS["backward"], COLORS["test"], COLORS["val"], COLORS["muted"])
MARK = {"marker": "o", "markersize": 5, "linestyle": "none", "color": MEASURED, "zorder": 5}


def write_figures(analysis: Analysis, name: str, folder: Path) -> list[Path]:
    """Write `scaling.png` and `scaling.svg`; returns their paths."""
    figure = scaling_figure(analysis, name)
    paths = [folder / f"scaling.{kind}" for kind in ("png", "svg")]
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": "scaling"}):
        for path in paths:
            metadata = {"Date": None} if path.suffix == ".svg" else None
            figure.savefig(path, dpi=RASTER_DPI, facecolor="white", metadata=metadata)
    return paths


@styled
def scaling_figure(analysis: Analysis, name: str) -> Figure:
    """Six panels: the parts of a step, the all-reduce, speed-up, weak scaling, an epoch, and a legend of the kinds."""
    figure = Figure(figsize=SIZE, layout="constrained")
    figure.get_layout_engine().set(wspace=0.06, hspace=0.07)
    (steps, reduce, strong), (weak_steps, weak, epoch) = figure.subplots(2, 3)
    network = analysis.forecast.network
    figure.suptitle(
        f"{name}    forecast for {network.name if network else 'the links of this machine'}",
        x=0.012,
        ha="left",
        fontsize=10,
        weight="bold",
    )
    _breakdown(steps, analysis.strong, "strong scaling: measured parts of a step, ms")
    _breakdown(weak_steps, analysis.weak, "weak scaling: measured parts of a step, ms")
    _all_reduce(reduce, analysis)
    _strong(strong, analysis)
    _weak(weak, analysis)
    _epoch(epoch, analysis)
    return figure


def _breakdown(ax: Axes, rows: Sequence[Scaled], title: str) -> None:
    places, floor = np.arange(len(rows)), np.zeros(len(rows))
    for phase, color in PHASE_COLORS.items():
        parts = np.array([row.phases[phase]["mean"] for row in rows]) * 1e3
        ax.bar(places, parts, bottom=floor, color=color, width=0.62, linewidth=0, label=phase.replace("_", "-"))
        floor = floor + parts
    ax.set_xticks(places, [f"{row.ranks}" for row in rows])
    ax.set_xlim(-0.6, 1.45 * (max(len(rows), 2) - 0.4))  # the legend needs a third
    ax.grid(axis="x", visible=False)
    ax.set_title(title)
    ax.set_xlabel("ranks (mean over ranks)")
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], labels[::-1], loc="upper right", fontsize=7.5, handlelength=0.9, labelspacing=0.3)


def _all_reduce(ax: Axes, analysis: Analysis) -> None:
    ax.set_title("all-reduce: measured (dots) and fitted (lines), ms")
    ax.set_xlabel("size of the message")
    fits, times = analysis.all_reduce, analysis.measured.all_reduce
    if fits is None:
        ax.text(0.5, 0.5, "one rank: nothing to reduce", transform=ax.transAxes, ha="center", color=COLORS["muted"])
        ax.xaxis.set_major_locator(NullLocator())
        ax.yaxis.set_major_locator(NullLocator())
        return
    ax.set_xscale("log")
    counts = sorted({t.ranks for t in times})
    sizes = np.geomspace(min(t.bytes for t in times), max(t.bytes for t in times), 100)
    for count, color in zip(counts, _cycle(RANK_COLORS, len(counts)), strict=True):
        points = [(t.bytes, t.estimate()) for t in times if t.ranks == count]
        ax.errorbar(
            [size for size, _ in points],
            [time.value * 1e3 for _, time in points],
            [time.error * 1e3 for _, time in points],
            **{**MARK, "color": color},
            elinewidth=1,
            label=f"{count} ranks",
        )
        for name, style in (("eq7", (0, (4, 2))), (fits.best, "solid")):
            if name == "eq7" and not fits.distinguishable:
                continue
            curve = MODELS[name].seconds(count, sizes, *fits.fits[name].values) * 1e3
            ax.plot(sizes, curve, color=color, linestyle=style, linewidth=1.2, alpha=0.9)
    ax.axvline(analysis.measured.gradient_bytes, color=COLORS["muted"], linewidth=0.8, linestyle=(0, (1, 2)))
    ax.annotate(
        "gradient",
        (analysis.measured.gradient_bytes, 0.02),
        xycoords=("data", "axes fraction"),
        xytext=(3, 0),
        textcoords="offset points",
        fontsize=7.5,
        color=COLORS["muted"],
    )
    ticks = [size for size in 4.0 ** np.arange(5, 20, 2) if sizes[0] <= size <= sizes[-1]]
    ax.set_xticks(ticks, [bytes_text(int(size)) for size in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    _log_axis(ax)
    best = MODELS[fits.best].title if fits.distinguishable else "all models alike"
    lines = [f"solid: {best}", "dashed: Eq. 7"] if fits.distinguishable else [f"line: {best}"]
    ax.legend(title="\n".join(lines), title_fontsize=7.5, fontsize=7.5, loc="upper left", alignment="left")


def _strong(ax: Axes, analysis: Analysis) -> None:
    ax.set_title(f"strong scaling: speed-up, {analysis.forecast.step_graphs:,} graphs a step")
    rows = [row for row in analysis.forecast.rows if row.strong_speedup is not None]
    _forecast(ax, rows, lambda row: row.strong_speedup)
    _ideal(ax, rows[-1].ranks)
    counts = list(np.geomspace(1, analysis.strong[0].graphs, 40))
    if bands := analysis.eq9(counts):
        _band(ax, counts, bands, FITTED, f"Eq. 9 fitted to the points, {CONFIDENCE:.0%} band")
    here = analysis.strong[0].graphs
    label = "measured here" + (f", {here:,} graphs" if here != analysis.forecast.step_graphs else "")
    _points(ax, analysis.strong, lambda row: (row.speedup.value, row.speedup.error), label)
    _rank_axis(ax, rows[-1].ranks)
    _log_axis(ax)
    _legend(ax, "upper left")


def _weak(ax: Axes, analysis: Analysis) -> None:
    ax.set_title(f"weak scaling: efficiency, {analysis.forecast.cost.graphs:,} graphs a rank")
    _forecast(ax, analysis.forecast.rows, lambda row: row.weak_efficiency)
    _points(ax, analysis.weak, lambda row: (row.efficiency.value, row.efficiency.error))
    _rank_axis(ax, analysis.forecast.rows[-1].ranks)
    ax.axhline(1, color=COLORS["muted"], linewidth=0.9, linestyle=(0, (1, 2)), label="ideal")
    ax.set_ylim(0, 1.16)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    _legend(ax, "lower left")


def _epoch(ax: Axes, analysis: Analysis) -> None:
    ax.set_title(f"an epoch of {analysis.measured.epoch_graphs:,} graphs, s")
    rows = analysis.forecast.rows
    _forecast(ax, rows, lambda row: row.epoch)
    graphs, epoch_graphs = analysis.weak[0].graphs, analysis.measured.epoch_graphs
    steps = {row.ranks: -(-(epoch_graphs // row.ranks) // graphs) for row in analysis.weak}
    _points(
        ax,
        analysis.weak,
        lambda row: (row.step.value * steps[row.ranks], row.step.error * steps[row.ranks]),
        "steps measured here",
    )
    first = rows[0].epoch.value
    counts = np.array([1, rows[-1].ranks])
    ax.plot(counts, first / counts, color=COLORS["muted"], linewidth=0.9, linestyle=(0, (1, 2)), label="ideal")
    _rank_axis(ax, rows[-1].ranks)
    _log_axis(ax)
    _legend(ax, "lower left")


def _forecast(ax: Axes, rows: Sequence[Row], of: Callable[[Row], Band | None]) -> None:
    bands = {row.ranks: band for row in rows if (band := of(row)) is not None}
    _band(ax, list(bands), list(bands.values()), FORECAST, f"forecast, {CONFIDENCE:.0%} band")


def _band(ax: Axes, ranks: Sequence[float], bands: Sequence[Band], color: str, label: str) -> None:
    ax.fill_between(ranks, [b.low for b in bands], [b.high for b in bands], color=color, alpha=0.25, linewidth=0)
    ax.plot(ranks, [band.value for band in bands], color=color, label=label, linewidth=1.4)


def _points(
    ax: Axes, rows: Sequence[Scaled], of: Callable[[Scaled], tuple[float, float]], label: str = "measured here"
) -> None:
    values, errors = zip(*map(of, rows), strict=True)
    ax.errorbar([row.ranks for row in rows], values, errors, **MARK, elinewidth=1, label=label)


def _ideal(ax: Axes, most: int) -> None:
    ax.plot([1, most], [1, most], color=COLORS["muted"], linewidth=0.9, linestyle=(0, (1, 2)), label="ideal")


def _rank_axis(ax: Axes, most: int) -> None:
    ax.set_xscale("log", base=2)
    ax.set_xlim(0.85, max(most, 2) * 1.15)
    ax.xaxis.set_major_locator(LogLocator(base=4 if most > 64 else 2, numticks=12))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.set_xlabel("ranks (GPUs)")


def _log_axis(ax: Axes) -> None:
    """A logarithmic y axis with plain numbers."""
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,), numticks=12))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def _legend(ax: Axes, place: str) -> None:
    """Measured points first."""
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], labels[::-1], loc=place, fontsize=7.5)


def _cycle(colors: Sequence[str], count: int) -> list[str]:
    return [colors[i % len(colors)] for i in range(count)]
