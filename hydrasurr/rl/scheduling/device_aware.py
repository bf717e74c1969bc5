"""The dynamic scheduler for workers of different speed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from hydrasurr.rl.scheduling.dynamic import DynamicScheduler
from hydrasurr.rl.scheduling.scheduler import Pick
from hydrasurr.rl.scheduling.tasks import Task


class DeviceAwareScheduler(DynamicScheduler):
    """Whoever is free takes the largest task with which it does not make the end later.

    A worker of speed s may take a task of work w, seconds at speed 1, if it would be done with it before all work could
    be, `w / s <= (work left) / (sum of speeds)`, or before each faster worker k, free in `f_k` seconds, could be:
    `w / s <= f_k + w / s_k`. Both bound w from above, and nothing bounds the fastest workers, so tasks never get stuck.
    """

    _work = 0.0
    """Of all that wait, seconds at speed 1."""

    def add(self, tasks: Sequence[Task], now: float) -> None:
        super().add(tasks, now)
        self._weigh()

    def refresh(self, now: float) -> None:
        super().refresh(now)
        self._weigh()

    def take(self, worker: int, now: float) -> Pick | None:
        fitting = bisect_right(self._waiting, self._most_work(worker, now), key=lambda entry: entry[0])
        if not fitting:
            return None
        work, _, task = self._waiting.pop(fitting - 1)
        self._work -= work
        return Pick(task, own=False)

    def _weigh(self) -> None:
        self._work = sum(work for work, _, _ in self._waiting)

    def _most_work(self, worker: int, now: float) -> float:
        alive = self.crew.alive
        speed, time_left, own = self.crew.speed[alive], self.crew.time_left(now)[alive], self.crew.speed[worker]
        faster = speed > own
        if not faster.any():
            return np.inf
        until_balanced = (self._work + time_left @ speed) / speed.sum()
        until_faster = np.min(time_left[faster] / (1 - own / speed[faster]))
        return own * max(until_balanced, until_faster)
