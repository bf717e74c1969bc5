"""What every scheduler does, and what those have in common that give each worker a list of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hydrasurr.rl.scheduling.crew import Crew
from hydrasurr.rl.scheduling.tasks import Task


class Pick(NamedTuple):
    """A task, and whether it comes from the worker's own list."""

    task: Task
    own: bool


class Scheduler(ABC):
    """Holds the tasks that wait, and says which one a free worker gets.

    It is told of everything by a Dispatcher. Times `now` are seconds by any clock that does not go back.
    """

    def __init__(self, crew: Crew):
        self.crew = crew

    @abstractmethod
    def __len__(self) -> int:
        """Tasks that wait."""

    @abstractmethod
    def add(self, tasks: Sequence[Task], now: float) -> None:
        """More tasks wait: new ones, or such that someone gave up."""

    @abstractmethod
    def take(self, worker: int, now: float) -> Pick | None:
        """The next task for a free worker, or None if it shall rest until something changes."""

    def lost(self, worker: int, now: float) -> None:  # noqa: B027 - most need not care
        """A worker has died; `crew.alive` says so already."""

    def joined(self, worker: int, now: float) -> None:  # noqa: B027
        """A worker that had died is back."""

    def refresh(self, now: float) -> None:  # noqa: B027
        """The costs have been learnt anew."""


class Lists(Scheduler):
    """A list of tasks for each worker, the next one at its left."""

    def __init__(self, crew: Crew):
        super().__init__(crew)
        self.lists: list[deque[Task]] = [deque() for _ in crew.workers]
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, worker: int, tasks: Sequence[Task]) -> None:
        """Append to a worker's list."""
        self.lists[worker].extend(tasks)
        self._count += len(tasks)

    def take(self, worker: int, now: float) -> Pick | None:
        if not self.lists[worker]:
            return None
        self._count -= 1
        return Pick(self.lists[worker].popleft(), own=True)

    def withdraw(self, workers: Sequence[int]) -> list[Task]:
        """Empty the lists of `workers`."""
        tasks = [task for worker in workers for task in self.lists[worker]]
        for worker in workers:
            self.lists[worker].clear()
        self._count -= len(tasks)
        return tasks

    def shortest_first(self) -> list[int]:
        """Those alive, whoever has fewest tasks waiting first."""
        return sorted(self.crew.members().tolist(), key=lambda worker: len(self.lists[worker]))


def blocks(tasks: Sequence[Task], count: int) -> list[Sequence[Task]]:
    """Cut into `count` shares of neighbours, the first ones longer by one if need be."""
    borders = np.cumsum([0] + [len(tasks) // count + (i < len(tasks) % count) for i in range(count)])
    return [tasks[first:last] for first, last in zip(borders[:-1], borders[1:], strict=True)]
