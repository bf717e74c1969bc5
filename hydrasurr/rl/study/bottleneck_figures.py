"""Figures of where time goes: Fig. 8 of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from hydrasurr.rl.study.figures import heading, polar_axes
from hydrasurr.training.figure_style import COLORS, new_axes, styled
from hydrasurr.training.figures import DENSITY, THIRD, WIDE

OPERATION_COLORS = ("all_reduce", "forward", "optimizer", "evaluate", "load")
"""Of measures.OPERATIONS, in their order."""
GRID = 300
"""Points of a density."""
MOST_NUMBERS = 5
"""Ranks up to which numbers stand in the map."""


@styled
def latency(seconds: np.ndarray, title: str) -> Figure:
    """Fig. 8a: seconds of a message from rank to rank, `[N, N]`, NaN from a rank to itself."""
    figure, ax = new_axes(THIRD)
    values = np.asarray(seconds, np.float64)
    unit, factor = ("ms", 1e3) if np.nanmax(values) > 2e-3 else ("µs", 1e6)
    image = ax.imshow(factor * values, cmap=DENSITY, vmin=0, interpolation="nearest")
    if len(values) <= MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                ax.text(column, row, f"{factor * value:.3g}", ha="center", va="center", color=COLORS["ink"])
    bar = figure.colorbar(image, ax=ax, shrink=0.85, pad=0.03)
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set(xlabel="to rank", ylabel="from rank")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(min(len(values), 5), integer=True))
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    heading(ax, f"{title}, {unit}", legend=False)
    return figure


@styled
def density(rollouts: Mapping[int, Sequence[float]]) -> Figure:
    """Fig. 8b: density of the seconds that rollouts took, for each actor, over their logarithm."""
    figure, ax = new_axes(WIDE)
    everything = np.log(np.concatenate([np.asarray(values, np.float64) for values in rollouts.values()]))
    margin = 0.15 * max(np.ptp(everything), 0.5)
    grid = np.linspace(everything.min() - margin, everything.max() + margin, GRID)
    colors = [
        COLORS[name] for name in ("train", "val", "test", "backward", "optimizer", "muted", "forward", "evaluate")
    ]
    for k, (actor, values) in enumerate(sorted(rollouts.items())):
        curve = kernel_density(np.log(np.asarray(values, np.float64)), grid)
        color = colors[k % len(colors)]
        ax.fill_between(np.exp(grid), curve, color=color, alpha=0.10, linewidth=0)
        ax.plot(np.exp(grid), curve, color=color, linewidth=1.3, label=f"actor {actor}")
    ax.set(xscale="log", xlabel="seconds of a rollout", ylim=(0, None))
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_major_locator(MaxNLocator(4))
    heading(ax, "density", columns=4)
    return figure


def kernel_density(values: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Of Gaussians around the values, as wide as Silverman's rule says, at the points of `grid`; its integral is 1.

    B. W. Silverman, Density Estimation (1986), Eq. 3.31.
    """
    spread = float(np.std(values))
    quartiles = float(np.subtract(*np.quantile(values, [0.75, 0.25]))) / 1.34
    narrow = min(spread, quartiles) if quartiles > 0 else spread
    width = 0.9 * max(narrow, 0.02) * len(values) ** -0.2
    scaled = (grid[:, None] - values) / width
    return np.exp(-(scaled**2) / 2).mean(1) / (width * np.sqrt(2 * np.pi))


@styled
def rose(periods: Sequence[Mapping[str, float]]) -> Figure:
    """Fig. 8c: shares of time by operation in successive parts of a run, the first one palest."""
    figure, ax = polar_axes(THIRD)
    names = list(periods[0])
    whole = 2 * np.pi / len(names)
    part = 0.86 * whole / len(periods)
    for k, seconds in enumerate(periods):
        shares = np.array([seconds[name] for name in names]) / max(sum(seconds.values()), 1e-12)
        angles = whole * np.arange(len(names)) + part * (k - (len(periods) - 1) / 2)
        alpha = 0.45 + 0.55 * (k + 1) / len(periods)
        colors = [COLORS[name] for name in OPERATION_COLORS]
        # The root makes areas, and not radii, as large as the shares.
        ax.bar(angles, np.sqrt(shares), part, color=colors, alpha=alpha, linewidth=0)
    last = periods[-1]
    shares = [last[name] / max(sum(last.values()), 1e-12) for name in names]
    wrapped = [name.replace(", ", ",\n") for name in names]
    labels = [f"{name}\n{share:.0%}" for name, share in zip(wrapped, shares, strict=True)]
    ax.set_xticks(whole * np.arange(len(names)), labels)
    ax.tick_params(axis="x", pad=8, labelcolor=COLORS["ink"], labelsize=7.5)
    ax.set_theta_zero_location("N")
    ax.set_theta_direction(-1)
    ax.set_yticks(np.sqrt([0.1, 0.4, 0.8]), ["10 %", "40 %", "80 %"], fontsize=7)
    ax.set_rlabel_position(180 / len(names))
    ax.set_ylim(0, 1)
    ax.spines["polar"].set_visible(False)
    return figure
