"""Learners in step, each with its actors, event by event in no time.

Each learner does what `running.loop` does, and hands out rollouts by the Dispatcher that real runs obey. Times of
rollouts and of learning are drawn from measured ones, averaging gradients takes what a model says, and every process
has a core to itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

from hydrasurr.rl.scheduling.config import SchedulingConfig
from hydrasurr.rl.scheduling.dispatch import Dispatcher
from hydrasurr.rl.scheduling.tasks import Task, Worker
from hydrasurr.rl.study.equations import iteration_seconds, system_efficiency, utilisation

SETTLE = 0.25
"""Share of the updates that are not counted: in the first ones queues fill."""


@dataclass(frozen=True)
class Plan:
    """A simulated run.

    Attributes
    ----------
    learners, actors : so many, each with so many
    rollouts : float64 `[K]`, seconds that rollouts took; drawn from, with repeats
    learning : float64 `[L]`, seconds that updates took; drawn from
    communication : seconds of the average of gradients after each update
    handing : seconds from the hand-out of a task until an actor has it; between two tasks that it has already, too
    ahead : tasks that an actor has waiting
    synchronous : an update takes a rollout of every lane, and lanes wait for it; else it takes one, whose lane goes on
    scheduling : of the rollouts of a learner
    updates : to simulate
    """

    learners: int
    actors: int
    rollouts: Sequence[float]
    learning: Sequence[float]
    communication: float = 0.0
    handing: float = 0.0
    ahead: int = 1
    synchronous: bool = False
    scheduling: SchedulingConfig = SchedulingConfig()
    updates: int = 60
    seed: int = 0

    @property
    def lanes(self) -> int:
        """Of each learner."""
        return self.actors * (1 + self.ahead)

    @property
    def rollouts_an_update(self) -> int:
        """Of each learner."""
        return self.lanes if self.synchronous else 1


@dataclass(frozen=True)
class Simulated:
    """Of the updates that count.

    Attributes
    ----------
    seconds : of an update
    computation, communication : of an update, the former a mean over the learners
    rollout_wait, step_wait : of an update, means over the learners: for rollouts, and for the slowest learner
    longest_wait : of an update, for the learner that waits longest in it, both waits together
    actor_idle : share of the actors' time
    utilisation : Eq. 12 of all learners and actors
    system_efficiency : Eq. 13 of them
    rollouts : a second, of all learners
    """

    seconds: float
    computation: float
    communication: float
    rollout_wait: float
    step_wait: float
    longest_wait: float
    actor_idle: float
    utilisation: float
    system_efficiency: float
    rollouts: float

    @property
    def eq11(self) -> float:
        """Eq. 11 with the mean computation, which overestimates: who waits longest has computed least."""
        return iteration_seconds(self.computation, self.communication, [self.longest_wait])


def simulate_cluster(plan: Plan) -> Simulated:
    """Let all learners go in step from update to update."""
    random = np.random.default_rng(plan.seed)
    learners = [_Learner(plan, seed) for seed in random.integers(2**63, size=plan.learners)]
    learning = random.choice(np.asarray(plan.learning, np.float64), (plan.updates, plan.learners))
    now, first = 0.0, round(SETTLE * plan.updates)
    waited, stepped, began = np.zeros((2, plan.updates, plan.learners)), np.zeros(plan.updates), 0.0
    for update in range(plan.updates):
        if update == first:
            began = now
            for learner in learners:
                learner.count_from(now)
        ready = np.array([learner.collect(now) for learner in learners])
        done = ready + learning[update]
        end = float(done.max()) + plan.communication
        waited[0, update], waited[1, update] = ready - now, done.max() - done
        stepped[update] = end - now
        now = end
        for learner in learners:
            learner.updated(now)
    counted = slice(first, None)
    total, updates = now - began, plan.updates - first
    busy = np.concatenate([learner.busy_until(now) for learner in learners])
    taught = learning[counted].sum(0)
    active = np.concatenate([busy, taught])
    both = waited[:, counted].sum(0)
    return Simulated(
        seconds=total / updates,
        computation=float(learning[counted].mean()),
        communication=plan.communication,
        rollout_wait=float(waited[0, counted].mean()),
        step_wait=float(waited[1, counted].mean()),
        longest_wait=float(both.max(1).mean()),
        actor_idle=float(1 - busy.mean() / total),
        utilisation=utilisation(active, total),
        system_efficiency=system_efficiency(active, total),
        rollouts=plan.learners * plan.rollouts_an_update * updates / total,
    )


class _Place(NamedTuple):
    """A task that an actor has: its place among those of the dispatcher, and when it can begin."""

    number: int
    arrival: float


class _Learner:
    """A learner and its actors. Called with the time that it has become for the learner."""

    def __init__(self, plan: Plan, seed: int):
        self.plan, self.random = plan, np.random.default_rng(seed)
        self.costs = np.asarray(plan.rollouts, np.float64)
        self.handed = 0
        places = [Worker()] * plan.lanes
        self.dispatcher = Dispatcher(self.tasks(plan.lanes), places, plan.scheduling)
        for place in range(plan.lanes):
            self.dispatcher.ready(place, 0.0)
        self.queues: list[deque[_Place]] = [deque() for _ in range(plan.actors)]
        self.running: dict[int, tuple[int, float, float]] = {}
        """By actor: the place of its task, when it began and when it will end."""
        self.events: list[tuple[float, int]] = []
        """When an actor will be done, and which."""
        self.arrived, self.waiting = 0, 0
        """Rollouts that the learner has not taken yet; lanes that wait for an update."""
        self.begin, self.busy = 0.0, np.zeros(plan.actors)

    def tasks(self, count: int) -> list[Task]:
        self.handed += count
        return [Task(str(number)) for number in range(self.handed - count, self.handed)]

    def collect(self, now: float) -> float:
        """Take what the next update needs; when it is there."""
        for _ in range(self.plan.rollouts_an_update):
            self.listen(now)
            while not self.arrived:
                now = max(now, self.events[0][0])
                self.listen(now)
            self.arrived -= 1
            if self.plan.synchronous:
                self.waiting += 1
            else:
                self.dispatcher.add(self.tasks(1), now)  # handed out when the learner listens again
        return now

    def updated(self, now: float) -> None:
        """The learner has learnt; lanes that waited for it go on."""
        if self.waiting:
            self.dispatcher.add(self.tasks(self.waiting), now)
            self.waiting = 0

    def listen(self, now: float) -> None:
        """Hear of all that actors have done until now, and hand out tasks."""
        self.advance(now)
        for assignment in self.dispatcher.offer(now):
            actor = assignment.worker % self.plan.actors
            self.queues[actor].append(_Place(assignment.worker, now + self.plan.handing))
            if actor not in self.running:
                self.go_on(actor, now)

    def advance(self, now: float) -> None:
        """What actors do until now with the tasks that they have."""
        while self.events and self.events[0][0] <= now:
            end, actor = heappop(self.events)
            place, start, _ = self.running.pop(actor)
            self.dispatcher.finish(place, end - start, end)
            self.busy[actor] += max(end - max(start, self.begin), 0.0)
            self.arrived += 1
            self.go_on(actor, end)

    def go_on(self, actor: int, now: float) -> None:
        """With the next task that the actor has, if any."""
        if self.queues[actor]:
            place, arrival = self.queues[actor].popleft()
            begin = max(arrival, now + self.plan.handing)
            end = begin + float(self.random.choice(self.costs))
            self.running[actor] = place, begin, end
            heappush(self.events, (end, actor))

    def count_from(self, now: float) -> None:
        """What actors do before does not count."""
        self.advance(now)
        self.begin = now
        self.busy[:] = 0.0

    def busy_until(self, now: float) -> np.ndarray:
        """float64 `[actors]`: seconds at work since `count_from`."""
        self.advance(now)
        busy = self.busy.copy()
        for actor, (_, start, end) in self.running.items():
            busy[actor] += max(min(end, now) - max(start, self.begin), 0.0)
        return busy
