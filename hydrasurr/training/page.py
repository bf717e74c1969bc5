"""Pieces of HTML, and the page they make: one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from matplotlib.figure import Figure

from hydrasurr.training.figure_style import COLORS, to_svg

Tile = tuple[str, str, str, str]
"""What it is, its value, the unit, and a remark."""


def page(title: str, header: str, sections: Mapping[str, str], version: str) -> str:
    """A whole page; `header` and the `sections` by heading are HTML, those without a body are left out."""
    template = Template((files(__package__) / "report_template.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(title),
        light=" ".join(f"--{name}: {color};" for name, color in COLORS.items()),
        header=header,
        body="\n".join(
            f'<section id="{anchor(heading)}"><h2>{escape(heading)}</h2>\n{body}\n</section>'
            for heading, body in sections.items()
            if body
        ),
        footer=f"Written by hydrasurr {escape(version)}",
    )


def links(sections: Mapping[str, str]) -> str:
    """A line of links to those sections of the page that have a body."""
    there = "".join(f'<a href="#{anchor(heading)}">{escape(heading)}</a>' for heading, body in sections.items() if body)
    return f"<nav>{there}</nav>"


def anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-")


def tiles(row: Sequence[Tile], main: int = 0) -> str:
    """Values side by side, the first `main` of them marked as those that matter most."""
    return f'<dl class="tiles">{"".join(_tile(each, k < main) for k, each in enumerate(row))}</dl>'


def _tile(each: Tile, main: bool) -> str:
    name, value, unit, more = map(escape, each)
    return (
        f'<div class="tile{" main" if main else ""}"><dt>{name}</dt>'
        f'<dd class="value">{value} <span class="unit">{unit}</span></dd><dd class="more">{more}</dd></div>'
    )


def figure(drawn: Figure, name: str, label: str) -> str:
    """A figure as SVG; no two of a page may have the same `name`, see to_svg."""
    return f"<figure>{to_svg(drawn, name, label)}</figure>"


def swatch(color: str) -> str:
    """A small square in one of COLORS."""
    return f'<span class="swatch" style="background: var(--{color})"></span>'


def named(name: str, unit: str) -> str:
    """A name, and its unit less loud."""
    return escape(name) + (f' <span class="unit">{escape(unit)}</span>' if unit else "")


def table(header: Sequence[str], rows: Sequence[Sequence[str]], numeric: int) -> str:
    """A table of HTML cells whose last `numeric` columns are numbers."""
    first = len(header) - numeric

    def line(tag: str, cells: Sequence[str]) -> str:
        marked = (f'<{tag} class="num">' if k >= first else f"<{tag}>" for k in range(len(cells)))
        return "<tr>" + "".join(f"{mark}{cell}</{tag}>" for mark, cell in zip(marked, cells, strict=True)) + "</tr>"

    body = "".join(line("td", row) for row in rows)
    return f"<table><thead>{line('th', header)}</thead><tbody>{body}</tbody></table>"


def facts(known: Mapping[str, str]) -> str:
    """Names and values as a table."""
    rows = "".join(f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in known.items())
    return f'<table class="facts">{rows}</table>'


def sentence(value: Any, joint: str = ", ") -> str:
    """Nested lists and objects as one line of text."""
    if isinstance(value, dict):
        return joint.join(f"{key} {sentence(item)}" for key, item in value.items() if item is not None)
    if isinstance(value, list | tuple):
        return joint.join(map(sentence, value))
    return "" if value is None else str(value)
