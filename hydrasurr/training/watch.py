"""What a person sees while a run trains: a progress bar and a line an epoch, on rank 0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hydrasurr.launcher import Ranks
from hydrasurr.training.config import RunConfig
from hydrasurr.training.tasks import Task
from hydrasurr.training.tasks.base import Batch
from hydrasurr.training.trainer import EpochRecord


class Watcher:
    """Writes to standard error: lines always, the bar only on a terminal; silent where `visible` is False."""

    def __init__(self, visible: bool):
        self.console = Console(stderr=True, quiet=not visible, highlight=False)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        shown = visible and self.console.is_terminal
        self._progress = Progress(*columns, console=self.console, disable=not shown, refresh_per_second=4)
        self._bar: Any = None
        self._epochs = 0

    def __enter__(self) -> Watcher:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()
        if self._bar is not None:
            self._progress.remove_task(self._bar)
            self._bar = None

    def say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True)

    def start(self, config: RunConfig, member: int, parameters: int, device: torch.device, ranks: Ranks) -> None:
        """Introduce the training of a member."""
        self._epochs = config.training.epochs
        which = f", member {member + 1} of {config.members}" if config.members > 1 else ""
        place = f"{ranks.world_size} x {device.type}" if ranks.world_size > 1 else device.type
        threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
        self.say(
            f"[bold]{config.name}[/bold]{which}: {config.model.title} with {parameters:,} parameters "
            f"on {place}{threads}"
        )

    def batches(self, batches: Iterator[Batch], epoch: int, first: int, steps: int) -> Iterator[Batch]:
        """The same batches, moving the bar."""
        if self._bar is None:
            total = self._epochs * steps
            self._bar = self._progress.add_task("training", total=total, completed=epoch * steps + first, rate="")
        self._progress.update(self._bar, description=f"epoch {epoch + 1}/{self._epochs}")
        try:
            for batch in batches:
                yield batch
                self._progress.advance(self._bar)
        finally:
            batches.close()

    def epoch(self, record: EpochRecord, task: Task) -> None:
        """One line on an epoch that was evaluated."""
        rate = f"{record.graphs_per_second:,.0f} graphs/s"
        if self._bar is not None:
            self._progress.update(self._bar, rate=rate)
        if record.val_loss is None:
            return
        metrics = record.val or record.train
        shown = [f"{t.name} {metrics[t.name]['mae']:.4g} {t.unit}".rstrip() for t in task.targets[:4]]
        more = f" and {len(task.targets) - 4} more" if len(task.targets) > 4 else ""
        best = " [green]best[/green]" if record.best else ""
        self.say(
            f"epoch {record.epoch + 1:>4}  loss {record.train_loss:.4f}  {'val' if record.val else 'train'} MAE "
            f"{', '.join(shown)}{more}  {rate}{best}"
        )
