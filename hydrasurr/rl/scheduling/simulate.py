"""Any scheduler with any number of workers, event by event, in no time.

The simulation tells a Dispatcher, the very one that real processes obey, what happens when.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.scheduling.config import SchedulingConfig
from hydrasurr.rl.scheduling.dispatch import Dispatcher
from hydrasurr.rl.scheduling.report import LoadReport
from hydrasurr.rl.scheduling.tasks import Assignment, Task, Worker


@dataclass(frozen=True)
class Fault:
    """At `time`, a worker dies and is back after `seconds` (infinity: never), or stalls for `seconds` in its task."""

    time: float
    worker: int
    kind: Literal["death", "stall"]
    seconds: float = np.inf


@dataclass(frozen=True)
class Delays:
    """What it takes to get a task, in seconds; those from a worker's own list come at once.

    Attributes
    ----------
    latency : from asking to having it
    service : that whoever hands them out is occupied with each; others queue up meanwhile
    """

    latency: float = 0.0
    service: float = 0.0


class Attempt(NamedTuple):
    """A worker had a task from `start` to `end`, and it `counts` or was in vain."""

    task: int
    worker: int
    start: float
    end: float
    counts: bool


@dataclass(frozen=True)
class Simulated:
    """What came of it.

    Attributes
    ----------
    report : loads
    attempts : those that ended, in order of their end
    failed : tasks that were lost too often, by number, and why
    unfinished : tasks that nobody was left for
    """

    report: LoadReport
    attempts: tuple[Attempt, ...]
    failed: dict[int, str]
    unfinished: tuple[int, ...]


def simulate(
    cost: ArrayLike,
    workers: int | Sequence[Worker],
    config: SchedulingConfig,
    hint: ArrayLike | None = None,
    features: ArrayLike | None = None,
    speed: ArrayLike | None = None,
    delays: Delays | None = None,
    faults: Sequence[Fault] = (),
) -> Simulated:
    """Let `workers` do tasks that take known times.

    Parameters
    ----------
    cost : float64 `[K]`, seconds that each task takes a worker of speed 1
    workers : how many, or what schedulers know of each
    hint : `[K]`, seconds as guessed beforehand; None: nothing is known
    features : `[K, F]`, from which costs can be learnt
    speed : `[W]`, real speeds; None: as schedulers know them
    """
    return _Simulation(cost, workers, config, hint, features, speed, delays or Delays(), faults).run()


def draw_faults(workers: int, rate: float, until: float, seed: int, seconds: float = np.inf) -> list[Fault]:
    """Deaths by chance, `rate` a worker and second up to `until`; the dead are back after `seconds`."""
    random = np.random.default_rng(seed)
    count = random.poisson(rate * until * workers)
    times, numbers = random.uniform(0, until, count), random.integers(workers, size=count)
    return [Fault(float(time), int(number), "death", seconds) for time, number in zip(times, numbers, strict=True)]


class _Simulation:
    def __init__(
        self,
        cost: ArrayLike,
        workers: int | Sequence[Worker],
        config: SchedulingConfig,
        hint: ArrayLike | None,
        features: ArrayLike | None,
        speed: ArrayLike | None,
        delays: Delays,
        faults: Sequence[Fault],
    ):
        self.cost = np.asarray(cost, np.float64)
        if self.cost.ndim != 1 or not (np.isfinite(self.cost) & (self.cost >= 0)).all():
            raise HydrasurrError("costs: one finite number of seconds, 0 or more, is expected for each task")
        workers = [Worker()] * workers if isinstance(workers, int) else list(workers)
        count = len(self.cost)
        hint = np.broadcast_to(1.0 if hint is None else hint, count).tolist()
        rows = np.zeros((count, 0)) if features is None else np.asarray(features, np.float64)
        tasks = [Task(str(i), i, tuple(rows[i].tolist()), hint[i]) for i in range(count)]
        self.dispatcher = Dispatcher(tasks, workers, config)
        self.speed = np.broadcast_to([w.speed for w in workers] if speed is None else speed, len(workers)).tolist()
        self.delays = delays
        self.counter_free = 0.0
        self.events: list[tuple[float, int, str, int, float]] = []
        """Time, number, kind, worker and a value: of `finish` the number of the attempt, else seconds."""
        self.pushed = 0
        self.running: dict[int, tuple[int, float, float, int]] = {}
        """By worker: task, when it began and will end, number of the attempt."""
        self.attempts: list[Attempt] = []
        for worker in range(len(workers)):
            self.push(0.0, "ready", worker)
        for fault in faults:
            self.push(fault.time, fault.kind, fault.worker, fault.seconds)

    def push(self, time: float, kind: str, worker: int, value: float = 0.0) -> int:
        self.pushed += 1
        heappush(self.events, (time, self.pushed, kind, worker, value))
        return self.pushed

    def run(self) -> Simulated:
        dispatcher = self.dispatcher
        while not dispatcher.finished and (self.events or dispatcher.deadline < np.inf):
            now = min(self.events[0][0] if self.events else np.inf, dispatcher.deadline)
            while self.events and self.events[0][0] <= now:
                _, _, kind, worker, value = heappop(self.events)
                getattr(self, f"on_{kind}")(worker, value, now)
            dispatcher.expire(now)
            for assignment in dispatcher.offer(now):
                self.start(assignment, now)
        failed = {int(task): error for task, error in dispatcher.ledger.failed.items()}
        unfinished = tuple(sorted(map(int, dispatcher.ledger.open)))
        return Simulated(dispatcher.report(), tuple(self.attempts), failed, unfinished)

    def start(self, assignment: Assignment, now: float) -> None:
        begin = now
        if not assignment.own:
            self.counter_free = max(self.counter_free, now) + self.delays.service
            begin = self.counter_free + self.delays.latency
        task = assignment.task.payload
        self.until(assignment.worker, task, begin, begin + self.cost[task] / self.speed[assignment.worker])

    def until(self, worker: int, task: int, begin: float, end: float) -> None:
        number = self.push(end, "finish", worker, self.pushed + 1) if end < np.inf else 0
        self.running[worker] = task, begin, end, number

    def on_ready(self, worker: int, _: float, now: float) -> None:
        self.dispatcher.ready(worker, now)

    def on_finish(self, worker: int, number: float, now: float) -> None:
        if worker not in self.running or self.running[worker][3] != number:
            return  # it died or stalled meanwhile
        task, begin, _, _ = self.running.pop(worker)
        outcome = self.dispatcher.finish(worker, now - begin, now)
        self.attempts.append(Attempt(task, worker, begin, now, outcome is not None))

    def on_death(self, worker: int, seconds: float, now: float) -> None:
        if not self.dispatcher.crew.alive[worker]:
            return
        if worker in self.running:
            task, begin, _, _ = self.running.pop(worker)
            self.attempts.append(Attempt(task, worker, min(begin, now), now, False))
        self.dispatcher.lose(worker, "the worker died", now)
        if seconds < np.inf:
            self.push(now + seconds, "ready", worker)

    def on_stall(self, worker: int, seconds: float, now: float) -> None:
        if worker in self.running:
            task, begin, end, _ = self.running[worker]
            self.until(worker, task, begin, end + seconds)
