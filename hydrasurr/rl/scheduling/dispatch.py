"""The one who hands out tasks: scheduler, leases and costs together, without processes or a clock of its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.scheduling.config import SchedulingConfig
from hydrasurr.rl.scheduling.cost import CostModel
from hydrasurr.rl.scheduling.crew import Crew
from hydrasurr.rl.scheduling.leases import Ledger
from hydrasurr.rl.scheduling.report import LoadReport
from hydrasurr.rl.scheduling.schedulers import make_scheduler
from hydrasurr.rl.scheduling.tasks import Assignment, Outcome, Task, Worker

FIRST_FIT = 8
"""Results before costs are learnt for the first time; then again with each half more."""
TRUSTED = 20
"""Results before leases rely on learnt costs."""


class Dispatcher:
    """Told what happens to workers, it says who shall do what; real processes and the simulation both obey it.

    A worker begins as expected: it gets tasks once it is `ready`. Times `now` are seconds by one clock that does not
    go back.

    Parameters
    ----------
    tasks : what to do; more may be added
    state : of another dispatcher, whose settled tasks are not done again
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        workers: Sequence[Worker],
        config: SchedulingConfig,
        state: dict[str, Any] | None = None,
        now: float = 0.0,
    ):
        self.config = config
        self.costs = CostModel(features=0)
        self.ledger = Ledger(len(workers), config.lease.attempts)
        if state is not None:
            self.ledger.load_state_dict(state["ledger"])
            self.costs.load_state_dict(state["costs"])
        self.crew = Crew(workers, self.costs)
        self.scheduler = make_scheduler(config, self.crew)
        self._tasks: dict[str, Task] = {}
        self._idle: set[int] = set()
        self._resting: set[int] = set()
        """Idle, and the scheduler had nothing for them."""
        self._fit_at = max(FIRST_FIT, self.costs.count)
        self._busy, self._vain = np.zeros(len(workers)), np.zeros(len(workers))
        self._work = 0.0
        self._first, self._last = np.inf, -np.inf
        self.add(tasks, now)
        if missing := self.ledger.open.keys() - self._tasks.keys():
            raise HydrasurrError(
                f"the saved state has {len(missing)} open tasks that are not given, such as '{min(missing)}': "
                "give the tasks it was saved with"
            )

    @property
    def finished(self) -> bool:
        """All tasks are settled."""
        return not self.ledger.open

    @property
    def deadline(self) -> float:
        """When to call `expire` next."""
        return self.ledger.deadline

    def add(self, tasks: Sequence[Task], now: float) -> int:
        """Take more tasks; how many of them are to be done. Those that are known, done or not, are passed over.

        Raises HydrasurrError for a task that cannot be compared with the others.
        """
        new: dict[str, Task] = {}
        for task in tasks:
            settled = task.id in self.ledger and task.id not in self.ledger.open
            if not settled and task.id not in self._tasks:
                new.setdefault(task.id, task)
        if new and not self._tasks and not self.costs.count:  # they are the first ones, or all that is left
            self.costs.features = len(next(iter(new.values())).features)
            self.costs.fit()
        _check(new.values(), self.costs.features)
        self._tasks |= new
        self.ledger.begin(new)
        if new:
            self.scheduler.add(list(new.values()), now)
            self._wake()
        return len(new)

    def ready(self, worker: int, now: float) -> None:
        """A worker has started, or has come back from the dead."""
        if not self.crew.alive[worker]:
            self.crew.alive[worker] = True
            self.scheduler.joined(worker, now)
            self._wake()
        self._idle.add(worker)

    def offer(self, now: float) -> list[Assignment]:
        """Hand out tasks to whoever is free, the fastest first."""
        if not len(self.scheduler) or len(self._resting) == len(self._idle):
            return []
        asking = sorted(self._idle - self._resting, key=lambda worker: (-self.crew.speed[worker], worker))
        return [assignment for worker in asking if (assignment := self._assign(worker, now)) is not None]

    def finish(self, worker: int, seconds: float, now: float, error: str | None = None) -> Outcome | None:
        """A worker is done with its task after `seconds` of work, or reports an error, which is final.

        None if the task had been settled by someone else: the result does not count.
        """
        lease = self.ledger.end(worker)
        if lease is None:
            raise ValueError(f"worker {worker} has no task to finish")
        self.crew.end(worker)
        self._idle.add(worker)
        self._busy[worker] += seconds
        self._last = max(self._last, now)
        lost = self.ledger.open.get(lease.task, 0)
        if not self.ledger.settle(lease.task, error):
            self._vain[worker] += seconds
            return None
        known, task = self.crew.workers[worker], self._tasks.pop(lease.task)
        self._work += seconds * known.speed
        if error is None:
            self.costs.observe(task, seconds * known.speed, known.device)
            self._learn(now)
        return Outcome(task, error, worker, seconds, attempts=lost + (not lease.overdue))

    def lose(self, worker: int, reason: str, now: float) -> Outcome | None:
        """A worker has died; what it had goes to another one. An outcome if that task has thereby failed."""
        self.crew.alive[worker] = False
        self._idle.discard(worker)
        self._resting.discard(worker)
        lease = self.ledger.end(worker)
        self.crew.end(worker)
        self.scheduler.lost(worker, now)
        self._wake()
        if lease is None:
            return None
        self._busy[worker] += now - lease.start
        self._vain[worker] += now - lease.start
        return None if lease.overdue else self._retry(lease.task, worker, reason, now - lease.start, now)

    def expire(self, now: float) -> list[tuple[int, Outcome | None]]:
        """Give up on tasks that workers have had for too long: those workers, each with an outcome if its task failed.

        The workers count as busy until they finish after all (`finish`: whoever is first counts) or are lost.
        """
        late = self.ledger.overdue(now)
        return [
            (x.worker, self._retry(x.task, x.worker, f"not done in {now - x.start:.3g} s", now - x.start, now))
            for x in late
        ]

    def state_dict(self, unseen: Collection[str] = ()) -> dict[str, Any]:
        """What is done and what was learnt, for JSON. `unseen`: see Ledger."""
        return {"ledger": self.ledger.state_dict(unseen), "costs": self.costs.state_dict()}

    def report(self, count: int | None = None) -> LoadReport:
        """How evenly work was spread so far; with `count` over so many, of which each has every `count`-th number."""
        count = count or len(self.crew)
        seconds = max(self._last - self._first, 0.0)
        speed = [worker.speed for worker in self.crew.workers[:count]]
        busy, vain = (seconds.reshape(-1, count).sum(0) for seconds in (self._busy, self._vain))
        return LoadReport.of(self.config.scheduler, busy, vain, self._work, speed, seconds)

    def _assign(self, worker: int, now: float) -> Assignment | None:
        while (pick := self.scheduler.take(worker, now)) is not None:
            if pick.task.id in self.ledger.open:  # else someone who was overdue has done it meanwhile
                break
        else:
            self._resting.add(worker)
            return None
        self._idle.discard(worker)
        self.crew.begin(worker, pick.task, now)
        self.ledger.hand_out(pick.task.id, worker, now, np.inf)
        self.ledger.extend(worker, now + self._allowed(worker))
        self._first = min(self._first, now)
        return Assignment(worker, pick.task, pick.own)

    def _retry(self, task_id: str, worker: int, reason: str, seconds: float, now: float) -> Outcome | None:
        if task_id not in self.ledger.open:
            return None
        error = self.ledger.lose(task_id, reason)
        if error is None:
            self.scheduler.add([self._tasks[task_id]], now)
            self._wake()
            return None
        return Outcome(self._tasks.pop(task_id), error, worker, seconds, self.ledger.attempts)

    def _learn(self, now: float) -> None:
        if self.costs.count < self._fit_at:
            return
        self._fit_at = self.costs.count + self.costs.count // 2
        self.costs.fit()
        self.crew.refresh()
        self.scheduler.refresh(now)
        for worker, lease in self.ledger.leases.items():
            if lease.task in self.ledger.open:
                self.ledger.extend(worker, lease.start + self._allowed(worker))
        self._wake()

    def _allowed(self, worker: int) -> float:
        """Seconds that a worker may keep its task."""
        lease, task_id = self.config.lease, self.ledger.leases[worker].task
        longer = 2.0 ** self.ledger.open[task_id]
        if lease.seconds is not None:
            return lease.seconds * longer
        if self.costs.count < TRUSTED:
            return np.inf
        known = self.crew.workers[worker]
        likely = self.costs.quantile([self._tasks[task_id]], lease.quantile, known.device)[0] / known.speed
        return max(lease.minimum, lease.factor * likely) * longer

    def _wake(self) -> None:
        """Something has changed, for which resting workers shall ask again."""
        self._resting.clear()


def _check(tasks: Collection[Task], features: int) -> None:
    """Raises HydrasurrError naming the first task with a wrong hint or wrong features."""
    for task in tasks:
        if len(task.features) != features:
            raise HydrasurrError(f"task '{task.id}' has {len(task.features)} features, those before it had {features}")
        if not 0 < task.hint < np.inf:
            raise HydrasurrError(f"task '{task.id}' has hint {task.hint}, expected seconds above 0")
        if not np.isfinite(task.features).all():
            raise HydrasurrError(f"task '{task.id}' has features that are no finite numbers: {task.features}")
