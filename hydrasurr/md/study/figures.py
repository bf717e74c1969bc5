"""Figures and their parts that studies share."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from hydrasurr.training.figure_style import COLORS, new_axes, styled
from hydrasurr.training.figures import WIDE

NAMES = {
    "lj": "Lennard-Jones",
    "lj_again": "LJ, other start",
    "fp64": "FP64",
    "fp32": "FP32",
    "bf16": "BF16",
    "bf16_hidden": "BF16 hidden",
    "int8": "INT8",
    "int8_refit": "INT8 refit",
    "int4": "INT4",
    "int4_refit": "INT4 refit",
}
"""What a run is called."""
COLOR = {
    "lj": "ink",
    "lj_again": "muted",
    "fp64": "load",
    "fp32": "train",
    "bf16": "val",
    "bf16_hidden": "optimizer",
    "int8": "test",
    "int8_refit": "evaluate",
    "int4": "backward",
    "int4_refit": "all_reduce",
}
"""Name of its colour, see figure_style.COLORS."""


@styled
def learning_curve(history: np.ndarray) -> Figure:
    """Mean squared errors of standardised force components on training and test particles over the batches."""
    figure, ax = new_axes(WIDE)
    steps, train, test = history.T
    for values, name in ((train, "train"), (test, "test")):
        ax.plot(steps, values, color=COLORS[name], label=name)
    ax.set(yscale="log", xlabel="batches", xlim=(0, steps[-1]))
    log_ticks(ax)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    heading(ax, "mean squared error of standardised forces")
    return figure


def log_ticks(ax: Axes) -> None:
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def heading(ax: Axes, title: str, *, legend: bool = True, columns: int = 3, inside: str = "") -> None:
    """The unit above the axis, where it needs no turned head."""
    ax.set_title(title, color=COLORS["ink"], pad=7)
    if inside:
        ax.legend(loc=inside, ncols=columns, labelspacing=0.35)
    elif legend:
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1.02), ncols=columns)
