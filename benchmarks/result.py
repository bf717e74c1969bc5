"""What a benchmark found: a table and ratios, for people and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import machine

BAR_COLUMNS = ["ratio", "measured", "bar", "dream", "met"]


@dataclass
class Bar:
    """A ratio to reach."""

    what: str
    measured: float
    bar: float
    dream: float | None = None
    at_most: bool = False
    """Lower is better."""
    unit: str = "x"

    @property
    def met(self) -> bool:
        return self.measured <= self.bar if self.at_most else self.measured >= self.bar

    def cells(self) -> list[str]:
        """As a row of a table with the columns BAR_COLUMNS."""
        sign = "<= " if self.at_most else ">= "
        dream = "" if self.dream is None else f"{sign}{self.dream:g}{self.unit}"
        measured = f"{self.measured:.3g}{self.unit}"
        return [self.what, measured, f"{sign}{self.bar:g}{self.unit}", dream, "yes" if self.met else "NO"]


@dataclass
class Result:
    """One run of a benchmark."""

    name: str
    title: str
    """What was measured against what, in a line."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """The measurements; the keys of the first row are the columns."""
    bars: list[Bar] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    minimal: bool = False
    """Made in minimal mode: shows that the benchmark works, says nothing about speed."""
    command: str = ""
    """What was typed, if not `python -m benchmarks NAME`."""

    def show(self, console: Console) -> None:
        console.print(f"\n[bold]{self.name}[/]: {self.title}")
        if self.rows:
            table = Table(*self.rows[0])
            for row in self.rows:
                table.add_row(*(_text(row.get(column, "")) for column in self.rows[0]))
            console.print(table)
        if self.bars:
            table = Table(*BAR_COLUMNS)
            for bar in self.bars:
                table.add_row(*bar.cells())
            console.print(table)
        for note in self.notes:
            console.print(f"- {note}")
        if self.minimal:
            console.print("[yellow]minimal mode: the figures say nothing about speed[/]")

    def save(self, folder: Path) -> Path:
        """Write NAME.json and, for reading, NAME.md. Returns the path of the JSON."""
        folder.mkdir(parents=True, exist_ok=True)
        where = machine.describe()
        bars = [{**asdict(bar), "met": bar.met} for bar in self.bars]
        path = folder / f"{self.name}.json"
        path.write_text(json.dumps({"machine": where, **asdict(self), "bars": bars}, indent=1) + "\n")
        (folder / f"{self.name}.md").write_text(self._markdown(where))
        return path

    def _markdown(self, where: dict[str, Any]) -> str:
        lines = [f"# {self.name}", "", self.title, "", f"`{self.command or f'python -m benchmarks {self.name}'}`", ""]
        if self.minimal:
            lines += ["Made in minimal mode: the figures say nothing about speed.", ""]
        if self.rows:
            columns = list(self.rows[0])
            lines += _markdown_table(columns, [[_text(row.get(column, "")) for column in columns] for row in self.rows])
        if self.bars:
            lines += _markdown_table(BAR_COLUMNS, [bar.cells() for bar in self.bars])
        lines += [f"- {note}" for note in self.notes] + ([""] if self.notes else [])
        packages = ", ".join(f"{name} {version}" for name, version in where["packages"].items())
        gpu = f"{where['gpu']}, CUDA {where['cuda']}, " if "gpu" in where else ""
        lines.append(
            f"{where['date']}, {gpu}{where['cores']} cores of {where['processor']}, {where['memory']}, "
            f"{where['system']}, Python {where['python']}, {packages}"
        )
        return "\n".join(lines) + "\n"


def _markdown_table(head: list[str], body: list[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *body]]
    return [*lines, ""]


def _text(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
