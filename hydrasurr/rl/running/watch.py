"""What a person sees while an agent learns: a progress bar, and a line now and then."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hydrasurr.rl.running.config import DesignConfig

LINE_SECONDS = 10.0
"""Between two lines."""


class Watcher:
    """Writes to standard error: lines always, the bar only on a terminal; silent where `visible` is False."""

    def __init__(self, config: DesignConfig, visible: bool):
        self.config = config
        self.console = Console(stderr=True, quiet=not visible, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rate]}"))
        shown = visible and self.console.is_terminal
        self._progress = Progress(
            *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=self.console, disable=not shown
        )
        self._bar: Any = None
        self._told = time.monotonic()

    def __enter__(self) -> Watcher:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True)

    def begin(self, frames: int) -> None:
        running = self.config.running
        self.say(
            f"[bold]{self.config.name}[/bold]: {self.config.learner.type}, actors by '{running.executor}', "
            f"lanes of {running.molecules} molecules, {self.config.frames:,} actions"
        )
        self._bar = self._progress.add_task(
            self.config.learner.type, total=self.config.frames, completed=frames, rate=""
        )

    def update(self, record: dict[str, Any]) -> None:
        """Move the bar; every few seconds say how it goes."""
        rate = record["frames"] / max(record["seconds"]["all"], 1e-9)
        self._progress.update(self._bar, completed=record["total_frames"], rate=f"{rate:,.0f} actions/s")
        if time.monotonic() - self._told < LINE_SECONDS and record["total_frames"] < self.config.frames:
            return
        self._told = time.monotonic()
        objective = "-" if record["objective"] is None else f"{record['objective']:.4g}"
        lag = record["lag"]
        self.say(
            f"update {record['update']:5d}  actions {record['total_frames']:9,}  objective {objective}  "
            f"best {self.config.top_k} {record['best']:.4g}  molecules {record['evaluations']:,}  "
            f"lag {lag['min']}/{lag['mean']:.1f}/{lag['max']}  {rate:,.0f} actions/s"
        )

    def evaluated(self, record: dict[str, Any]) -> None:
        self.say(
            f"evaluation of update {record['update']}: objective {record['objective']:.4g} "
            f"± {record['objective_std']:.2g}, {record['unique']:.0%} different molecules"
        )
