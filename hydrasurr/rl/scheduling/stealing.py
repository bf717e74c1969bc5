"""Lists of which those who have none left take half."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from hydrasurr.rl.scheduling.crew import Crew
from hydrasurr.rl.scheduling.scheduler import Lists, Pick, blocks
from hydrasurr.rl.scheduling.tasks import Task


class StealingScheduler(Lists):
    """Every worker starts with as many neighbouring tasks and does the largest first; a thief takes the smaller half.

    A dead worker's list stays there to be stolen from. R. D. Blumofe and C. E. Leiserson, J. ACM 46 (1999) 720.

    Parameters
    ----------
    random : chooses among those who have tasks; None: whoever is expected to have most work waiting is stolen from
    """

    def __init__(self, crew: Crew, random: np.random.Generator | None):
        super().__init__(crew)
        self.random = random
        self._work = np.zeros(len(crew))
        """Of each list, expected seconds."""

    def add(self, tasks: Sequence[Task], now: float) -> None:
        workers = self.shortest_first()
        for worker, share in zip(workers, blocks(tasks, len(workers)), strict=True):
            if share:
                self.put(worker, share)
                self._sort(worker)

    def take(self, worker: int, now: float) -> Pick | None:
        pick = super().take(worker, now)
        if pick is None and self._count:
            self._steal(worker)
            pick = Pick(super().take(worker, now).task, own=False)
        if pick is not None:
            self._work[worker] -= self.crew.costs.predict([pick.task])[0]
        return pick

    def refresh(self, now: float) -> None:
        for worker in range(len(self.crew)):
            self._sort(worker)

    def _sort(self, worker: int) -> None:
        tasks = list(self.lists[worker])
        cost = self.crew.costs.predict(tasks)
        self._work[worker] = cost.sum()
        self.lists[worker] = deque(tasks[i] for i in np.argsort(-cost, kind="stable"))

    def _steal(self, thief: int) -> None:
        victim = self._choose_victim()
        source, loot = self.lists[victim], self.lists[thief]
        for _ in range((len(source) + 1) // 2):
            loot.appendleft(source.pop())
        for worker in (victim, thief):
            self._work[worker] = self.crew.costs.predict(list(self.lists[worker])).sum()

    def _choose_victim(self) -> int:
        full = np.array([bool(tasks) for tasks in self.lists])
        if self.random is not None:
            return int(self.random.choice(np.flatnonzero(full)))
        return int(np.argmax(np.where(full, self._work, -np.inf)))
