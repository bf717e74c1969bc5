"""What a person sees while a loop goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from hydrasurr.rl.executors.pool import Progress
from hydrasurr.tables import duration

AT_ONCE = 0.2
"""A stage that takes no longer (seconds) was read from its file, and needs no line."""


class Watcher:
    """Writes to standard error: a line after each stage, a bar of labels on a terminal; silent if not `visible`."""

    def __init__(self, visible: bool = True):
        self._console = Console(stderr=True, quiet=not visible, highlight=False)
        self._shown = visible and self._console.is_terminal
        self._bars: Bars | None = None

    def say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False)

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Around a stage; says how long it took."""
        start = time.monotonic()
        yield
        if time.monotonic() - start > AT_ONCE:
            self.say(f"{title}: {duration(time.monotonic() - start)}")

    @contextmanager
    def labels(self, title: str) -> Iterator[None]:
        """Around a labelling, which calls `labelled`."""
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} of {task.total}"))
        times = (TextColumn("{task.fields[failed]} failed"), TimeElapsedColumn(), TimeRemainingColumn())
        with Bars(*columns, *times, console=self._console, disable=not self._shown, transient=True) as self._bars:
            self._task = self._bars.add_task(title, total=None, failed=0)
            yield

    def labelled(self, progress: Progress) -> None:
        """So many are done."""
        done = progress.done + progress.failed
        self._bars.update(self._task, total=progress.total, completed=done, failed=progress.failed)
