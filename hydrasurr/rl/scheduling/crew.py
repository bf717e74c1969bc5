"""The workers as schedulers see them: who lives, how fast they are, and when they will be free."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.scheduling.cost import CostModel
from hydrasurr.rl.scheduling.tasks import Task, Worker


class Crew:
    """`W` workers, known by their numbers from 0.

    Attributes
    ----------
    workers : what is known of each
    costs : predicts what tasks take
    alive : bool `[W]`; a worker that died may come back under its number
    speed : float64 `[W]`, as given, times what has been learnt of the class of its device
    """

    def __init__(self, workers: Sequence[Worker], costs: CostModel):
        if not workers:
            raise HydrasurrError("no workers: at least one is needed")
        for number, worker in enumerate(workers):
            if not 0 < worker.speed < np.inf:
                raise HydrasurrError(f"worker {number} has speed {worker.speed}, expected a number above 0")
        self.workers, self.costs = tuple(workers), costs
        self.alive = np.ones(len(workers), bool)
        self._given = np.array([worker.speed for worker in workers])
        self._running: dict[int, tuple[Task, float]] = {}
        self._end = np.full(len(workers), -np.inf)
        self.refresh()

    def __len__(self) -> int:
        return len(self.workers)

    def refresh(self) -> None:
        """The costs have been learnt anew."""
        factor = {device: self.costs.speed(device) for device in {worker.device for worker in self.workers}}
        self.speed = self._given * [factor[worker.device] for worker in self.workers]
        for number, (task, start) in self._running.items():
            self.begin(number, task, start)

    def seconds(self, tasks: Sequence[Task], worker: int) -> np.ndarray:
        """float64 `[K]`: what the tasks would take a worker."""
        known = self.workers[worker]
        return self.costs.predict(tasks, known.device) / known.speed

    def begin(self, worker: int, task: Task, now: float) -> None:
        self._running[worker] = task, now
        self._end[worker] = now + self.seconds([task], worker)[0]

    def end(self, worker: int) -> None:
        self._running.pop(worker, None)
        self._end[worker] = -np.inf

    def time_left(self, now: float) -> np.ndarray:
        """float64 `[W]`: seconds until each is expected to be free; 0 for who is, or should have been."""
        return np.maximum(self._end - now, 0)

    def members(self) -> np.ndarray:
        """int64: the numbers of those alive; if nobody is, of all, as they may come back."""
        return np.flatnonzero(self.alive) if self.alive.any() else np.arange(len(self))
