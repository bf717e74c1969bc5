"""One list for all, the largest task first."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence

from hydrasurr.rl.scheduling.crew import Crew
from hydrasurr.rl.scheduling.scheduler import Pick, Scheduler
from hydrasurr.rl.scheduling.tasks import Task


class DynamicScheduler(Scheduler):
    """Whoever is free takes the task that is expected to take longest; equal ones in the order they came in.

    Small tasks come last and fill the gaps. R. L. Graham, SIAM J. Appl. Math. 17 (1969) 416, where costs are known.
    """

    def __init__(self, crew: Crew):
        super().__init__(crew)
        self._waiting: list[tuple[float, int, Task]] = []
        """By expected seconds, then how late it came in, both the other way round: the last one is the next."""
        self._added = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, tasks: Sequence[Task], now: float) -> None:
        entries = zip(self.crew.costs.predict(tasks).tolist(), tasks, strict=True)
        numbered = [(cost, -self._added - i, task) for i, (cost, task) in enumerate(entries)]
        self._added += len(numbered)
        if len(numbered) == 1:
            insort(self._waiting, numbered[0])
        else:
            self._waiting = sorted(self._waiting + numbered)

    def take(self, worker: int, now: float) -> Pick | None:
        return Pick(self._waiting.pop()[2], own=False) if self._waiting else None

    def refresh(self, now: float) -> None:
        costs = self.crew.costs.predict([task for _, _, task in self._waiting]).tolist()
        entries = zip(costs, self._waiting, strict=True)
        self._waiting = sorted((cost, number, task) for cost, (_, number, task) in entries)
