"""Progress on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import Task

_QUIET_SECONDS = 30


class Progress:
    """Counts rows under a title; the base class shows nothing."""

    def advance(self, rows: int) -> None:
        """`rows` more are done."""

    def note(self, rejected: int) -> None:
        """Rows rejected so far."""


@contextmanager
def show_progress(title: str, total: int | None, show: bool = True, unit: str = "rows") -> Iterator[Progress]:
    """Show the progress of `total` units (None: not known) while the context lasts."""
    if not show:
        yield Progress()
    elif sys.stderr.isatty():
        with _rich_progress(unit) as bars:
            bar = _Bar(bars, title, total)
            yield bar
            bar.finish()
    else:
        lines = _Lines(title, total, unit)
        yield lines
        lines.finish()


class _Bar(Progress):
    def __init__(self, bars: RichProgress, title: str, total: int | None):
        self._bars, self._total = bars, total
        self._task = bars.add_task(title, total=total, rejected="")

    def advance(self, rows: int) -> None:
        self._bars.update(self._task, advance=rows)

    def note(self, rejected: int) -> None:
        self._bars.update(self._task, rejected=f"{rejected:,} rejected" if rejected else "")

    def finish(self) -> None:
        done = self._bars.tasks[self._task].completed if self._total is None else self._total
        self._bars.update(self._task, completed=done, total=done)


class _Lines(Progress):
    def __init__(self, title: str, total: int | None, unit: str):
        self._title, self._total, self._unit = title, total, unit
        self._rows = self._rejected = 0
        self._start = self._last = time.monotonic()

    def advance(self, rows: int) -> None:
        self._rows += rows
        if time.monotonic() - self._last > _QUIET_SECONDS:
            self._write(f"{self._rows:,} of {self._total:,}" if self._total else f"{self._rows:,}")

    def note(self, rejected: int) -> None:
        self._rejected = rejected

    def finish(self) -> None:
        self._rows = self._total or self._rows
        self._write(f"{self._rows:,}")

    def _write(self, count: str) -> None:
        self._last = time.monotonic()
        seconds = self._last - self._start
        rejected = f", {self._rejected:,} rejected" if self._rejected else ""
        rate = f"{self._rows / max(seconds, 1e-9):,.0f} a second"
        line = f"{self._title}: {count} {self._unit}{rejected}, {seconds:.1f} s ({rate})"
        print(line, file=sys.stderr, flush=True)


def _rich_progress(unit: str) -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.finished_speed or task.speed or 0:,.0f} {unit}/s")

    return RichProgress(
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        TextColumn("[yellow]{task.fields[rejected]}"),
        console=Console(stderr=True),
    )
