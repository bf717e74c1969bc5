"""What a person sees while a run goes on: a progress bar, or a line now and then where there is no terminal."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hydrasurr.md.state import State

BAR_SECONDS, LINE_SECONDS = 0.25, 30.0


class Watcher:
    """Writes to standard error; silent where `visible` is False."""

    def __init__(self, visible: bool, timestep_fs: float, first: int, steps: int):
        self.console = Console(stderr=True, quiet=not visible, highlight=False)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._on_terminal = visible and self.console.is_terminal
        self._progress = Progress(*columns, console=self.console, disable=not self._on_terminal, auto_refresh=False)
        self._timestep_fs, self._first, self._steps = timestep_fs, first, steps
        self._start = self._shown = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> Watcher:
        self._progress.start()
        self._bar = self._progress.add_task("steps", total=self._steps, completed=self._first, rate="")
        self._start = self._shown = time.monotonic()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True)

    def ns_per_day(self, step: int) -> float:
        """The speed since the watcher was started."""
        nanoseconds = (step - self._first) * self._timestep_fs * 1e-6
        return nanoseconds / max(time.monotonic() - self._start, 1e-9) * 86_400

    def step(self, state: State, step: int) -> None:
        """Called after each step; shows something now and then."""
        now = time.monotonic()
        if now - self._shown < (BAR_SECONDS if self._on_terminal else LINE_SECONDS) and step < self._steps:
            return
        self._shown = now
        rate = f"{self.ns_per_day(step):.3g} ns/day, {state.temperature[0]:.0f} K"
        if self._on_terminal:
            self._progress.update(self._bar, completed=step, rate=rate, refresh=True)
        else:
            self.say(f"step {step:,} of {self._steps:,}: {rate}")
