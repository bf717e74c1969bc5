"""What a person sees while a study goes on: a bar for each stage, or a line where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hydrasurr.tables import duration

AT_ONCE = 0.2
"""A stage that takes no longer (seconds) was read from its file, and needs no line."""


class Watcher:
    """Writes to standard error; silent where `visible` is False."""

    def __init__(self, visible: bool = True):
        self._console = Console(stderr=True, quiet=not visible, highlight=False)
        self._bars = visible and self._console.is_terminal
        self._progress: Progress | None = None

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Around a stage; says how long it took."""
        start, columns = time.monotonic(), (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.4g} of {task.total:,.4g} {task.fields[unit]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._title = title
        with Progress(*columns, console=self._console, disable=not self._bars, transient=True) as self._progress:
            yield
        if time.monotonic() - start > AT_ONCE:
            self._console.print(f"{title}: {duration(time.monotonic() - start)}", soft_wrap=True)

    def expect(self, total: float, unit: str) -> None:
        """The stage will take so much."""
        self._bar = self._progress.add_task(self._title, total=total, unit=unit)

    def advance(self, amount: float) -> None:
        """So much more of it is done."""
        self._progress.advance(self._bar, amount)

    def advance_to(self, done: float) -> None:
        """So much of it is done."""
        self._progress.update(self._bar, completed=done)
