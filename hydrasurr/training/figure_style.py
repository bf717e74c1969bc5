"""How figures look, and how they become part of a page.

Nothing here touches pyplot or leaves a global setting changed. Colours are those of COLORS; in the SVG they become
CSS variables, which lets the page decide between light and dark.
"""

from __future__ import annotations

import io
import re
from html import escape

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

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

RASTER_DPI = 200
"""Of the clouds of points, which would be large as vectors."""

styled = matplotlib.rc_context(STYLE)
"""Decorator of everything that makes artists, which take their style when they are made."""


def to_svg(figure: Figure, name: str, label: str) -> str:
    """An `<svg>` element to stand in HTML, with `label` read to those who do not see it.

    `name` is part of the ids, so no two figures of a page may have the same. The same figure gives the same text.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        figure.canvas.print_svg(buffer, metadata={"Date": None})  # savefig would lay out and draw twice
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # numbered anew in every figure, referred to by none
    for variable, color in COLORS.items():
        svg = svg.replace(color, f"var(--{variable}, {color})")
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)


def new_axes(size: tuple[float, float]) -> tuple[Figure, Axes]:
    """An empty figure, `size` in inches, with one pair of axes."""
    figure = Figure(figsize=size, dpi=RASTER_DPI, layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.add_subplot()
