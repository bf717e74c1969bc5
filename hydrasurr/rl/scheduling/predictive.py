"""Lists that are expected to be finished together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from heapq import heapify, heapreplace

import numpy as np

from hydrasurr.rl.scheduling.scheduler import Lists
from hydrasurr.rl.scheduling.tasks import Task


class PredictiveScheduler(Lists):
    """LPT: the largest task first, onto the worker that would be done with it first.

    The plan is made anew for all that wait whenever the costs have been learnt anew, and when workers or tasks come or
    go. In between nobody gets what was planned for others. R. L. Graham, SIAM J. Appl. Math. 17 (1969) 416.
    """

    def add(self, tasks: Sequence[Task], now: float) -> None:
        self._plan([*self.withdraw(range(len(self.crew))), *tasks], now)

    def lost(self, worker: int, now: float) -> None:
        self.add([], now)

    def joined(self, worker: int, now: float) -> None:
        self.add([], now)

    def refresh(self, now: float) -> None:
        self.add([], now)

    def _plan(self, tasks: list[Task], now: float) -> None:
        time_left = self.crew.time_left(now)
        alike = defaultdict(list)  # who is alike needs one look at whoever of them is free first
        for worker in self.crew.members().tolist():
            alike[self.crew.workers[worker]].append((time_left[worker], worker))
        groups = list(alike.values())
        for group in groups:
            heapify(group)
        seconds = np.array([self.crew.seconds(tasks, group[0][1]) for group in groups])
        plan: dict[int, list[Task]] = defaultdict(list)
        for number in np.argsort(-self.crew.costs.predict(tasks), kind="stable"):
            end, group = min((group[0][0] + seconds[i, number], i) for i, group in enumerate(groups))
            worker = groups[group][0][1]
            heapreplace(groups[group], (end, worker))
            plan[worker].append(tasks[number])
        for worker, share in plan.items():
            self.put(worker, share)
