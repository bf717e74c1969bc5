"""The book of leases, and the dispatcher that keeps it, in whatever order things happen."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.scheduling.config import LeaseConfig, SchedulingConfig
from hydrasurr.rl.scheduling.dispatch import Dispatcher
from hydrasurr.rl.scheduling.leases import Ledger
from hydrasurr.rl.scheduling.tasks import Outcome, Task, Worker
from tests.rl.scheduling.names import NAMES


def draw_tasks(count: int, random: np.random.Generator) -> list[Task]:
    return [Task(f"task {i}", i, (random.normal(),), random.lognormal()) for i in range(count)]


class Life:
    """Random things happen to a dispatcher, and all that it settles is noted."""

    def __init__(self, dispatcher: Dispatcher, random: np.random.Generator, start: float = 0.0):
        self.dispatcher, self.random, self.now = dispatcher, random, start
        self.busy: set[int] = set()
        self.idle: set[int] = set()
        self.dead: set[int] = set()
        self.settled: list[Outcome] = []
        for worker in range(len(dispatcher.crew)):
            self.come(worker)

    def come(self, worker: int) -> None:
        self.dispatcher.ready(worker, self.now)
        self.dead.discard(worker)
        self.idle.add(worker)

    def note(self, outcome: Outcome | None) -> None:
        self.settled += [outcome] if outcome is not None else []

    def hand_out(self) -> None:
        for assignment in self.dispatcher.offer(self.now):
            assert assignment.worker in self.idle  # neither dead nor at work
            self.idle.discard(assignment.worker)
            self.busy.add(assignment.worker)

    def step(self, trouble: float) -> None:
        self.hand_out()
        self.now += float(self.random.exponential(1.0))
        for _, outcome in self.dispatcher.expire(self.now):
            self.note(outcome)
        alive = sorted(self.busy | self.idle)
        if alive and self.random.random() < trouble:
            worker = int(self.random.choice(alive))
            self.note(self.dispatcher.lose(worker, "gone", self.now))
            self.busy.discard(worker)
            self.idle.discard(worker)
            self.dead.add(worker)
        elif self.dead and (self.random.random() < 0.3 or not alive):
            self.come(self.random.choice(sorted(self.dead)).item())
        elif self.busy:
            worker = self.random.choice(sorted(self.busy)).item()
            error = "wrong" if self.random.random() < trouble / 2 else None
            self.note(self.dispatcher.finish(worker, float(self.random.exponential(1.0)), self.now, error))
            self.busy.discard(worker)
            self.idle.add(worker)


@given(st.sampled_from(NAMES), st.integers(1, 40), st.integers(1, 6), st.integers(0, 10_000))
def test_every_task_is_settled_once(name: str, count: int, workers: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    lease = LeaseConfig(seconds=float(random.choice([2.0, 20.0])), attempts=int(random.integers(1, 4)))
    config = SchedulingConfig(scheduler=name, victim="random", lease=lease)
    tasks = draw_tasks(count, random)
    crew = [Worker(speed=float(speed)) for speed in random.choice([1.0, 3.0], workers)]
    life = Life(Dispatcher(tasks[: count // 2], crew, config), random)
    while not life.dispatcher.finished:
        life.step(trouble=0.3)
        if random.random() < 0.2:
            life.dispatcher.add(tasks, life.now)  # again and again: known ones are passed over
    assert life.dispatcher.add(tasks, life.now) in (0, count - count // 2)
    while not life.dispatcher.finished:
        life.step(trouble=0.3)
    assert sorted(outcome.task.id for outcome in life.settled) == sorted(task.id for task in tasks)
    assert all(1 <= outcome.attempts <= lease.attempts for outcome in life.settled)
    ledger = life.dispatcher.ledger
    assert {x.task.id: x.error for x in life.settled if x.error} == ledger.failed
    assert [x.task.id for x in life.settled if not x.error] == list(ledger.done)


@given(st.sampled_from(NAMES), st.integers(1, 40), st.integers(0, 10_000), st.integers(0, 60))
def test_saved_and_loaded_nothing_is_lost_or_counted_twice(name: str, count: int, seed: int, when: int) -> None:
    random = np.random.default_rng(seed)
    config = SchedulingConfig(scheduler=name, lease=LeaseConfig(seconds=20.0))
    tasks, crew = draw_tasks(count, random), [Worker()] * 3
    life = Life(Dispatcher(tasks, crew, config), random)
    for _ in range(when):
        if not life.dispatcher.finished:
            life.step(trouble=0.1)
    unseen = [outcome.task.id for outcome in life.settled[:2]]
    state = json.loads(json.dumps(life.dispatcher.state_dict(unseen)))
    then = Life(Dispatcher(tasks, crew, config, state, life.now), random, life.now)
    assert then.dispatcher.costs.count == life.dispatcher.costs.count
    for task, losses in life.dispatcher.ledger.open.items():
        assert then.dispatcher.ledger.open[task] == losses
    while not then.dispatcher.finished:
        then.step(trouble=0.1)
    settled = [x.task.id for x in life.settled[2:]] + [x.task.id for x in then.settled]
    assert sorted(settled) == sorted(task.id for task in tasks)
    again = Dispatcher(tasks, crew, config, then.dispatcher.state_dict())
    assert again.finished


def test_the_first_result_of_a_late_worker_counts_and_the_second_one_does_not() -> None:
    config = SchedulingConfig(lease=LeaseConfig(seconds=1.0))
    dispatcher = Dispatcher([Task("a")], [Worker()] * 2, config)
    dispatcher.ready(0, 0.0)
    assert [x.worker for x in dispatcher.offer(0.0)] == [0]
    assert dispatcher.deadline == 1.0
    assert dispatcher.expire(0.9) == []
    assert dispatcher.expire(1.0) == [(0, None)]
    assert dispatcher.deadline == np.inf
    dispatcher.ready(1, 1.0)
    assert [(x.worker, x.task.id) for x in dispatcher.offer(1.0)] == [(1, "a")]
    assert dispatcher.deadline == 3.0  # twice as long
    first = dispatcher.finish(0, 1.5, 1.5)
    assert (first.task.id, first.worker, first.attempts) == ("a", 0, 1)
    assert dispatcher.finish(1, 1.0, 2.0) is None
    assert dispatcher.finished
    assert dispatcher.report().vain == (0.0, 1.0)


def test_a_late_worker_that_dies_is_not_counted_twice() -> None:
    dispatcher = Dispatcher([Task("a")], [Worker()], SchedulingConfig(lease=LeaseConfig(seconds=1.0, attempts=2)))
    dispatcher.ready(0, 0.0)
    dispatcher.offer(0.0)
    assert dispatcher.expire(2.0) == [(0, None)]
    assert dispatcher.lose(0, "killed", 2.0) is None
    assert not dispatcher.finished
    dispatcher.ready(0, 3.0)
    dispatcher.offer(3.0)
    ((_, outcome),) = dispatcher.expire(5.0)
    assert outcome.error == "not done in 2 s (attempt 2 of 2)"
    assert outcome.attempts == 2


def test_leases_follow_what_tasks_take() -> None:
    lease = LeaseConfig(minimum=5.0, factor=2.0)
    tasks = [Task(str(i)) for i in range(60)]
    dispatcher = Dispatcher(tasks, [Worker()] * 2, SchedulingConfig(lease=lease))
    now = 0.0
    for worker in (0, 1):
        dispatcher.ready(worker, now)
    dispatcher.offer(now)
    assert dispatcher.deadline == np.inf  # nothing is known yet
    for _ in range(50):
        now += 100.0
        dispatcher.finish(0, 100.0, now)
        dispatcher.offer(now)
    likely = dispatcher.costs.quantile([Task("x")], lease.quantile, "cpu")[0]
    assert 100 < likely < 300
    # Worker 1 has had its task since the beginning, before anything was known.
    assert dispatcher.deadline < now
    assert [worker for worker, _ in dispatcher.expire(now)] == [1]
    assert now + 200 < dispatcher.deadline < now + 600


def test_wrong_tasks_and_states() -> None:
    with pytest.raises(HydrasurrError, match="'b' has 0 features, those before it had 1"):
        Dispatcher([Task("a", None, (1.0,)), Task("b")], [Worker()], SchedulingConfig())
    with pytest.raises(HydrasurrError, match="'a' has hint 0"):
        Dispatcher([Task("a", hint=0)], [Worker()], SchedulingConfig())
    with pytest.raises(HydrasurrError, match="no finite numbers"):
        Dispatcher([Task("a", None, (np.nan,))], [Worker()], SchedulingConfig())
    with pytest.raises(HydrasurrError, match="'b' has 0 features, those before it had 1"):
        dispatcher = Dispatcher([], [Worker()], SchedulingConfig())
        assert dispatcher.add([Task("a", None, (1.0,))], 0.0) == 1
        dispatcher.add([Task("b")], 0.0)
    state = Dispatcher([Task("a"), Task("b")], [Worker()], SchedulingConfig()).state_dict()
    with pytest.raises(HydrasurrError, match="1 open tasks that are not given, such as 'a'"):
        Dispatcher([Task("b")], [Worker()], SchedulingConfig(), state)
    done = Dispatcher([Task("a"), Task("b")], [Worker()], SchedulingConfig())
    done.ready(0, 0.0)
    done.offer(0.0)
    done.finish(0, 1.0, 1.0)
    with pytest.raises(HydrasurrError, match="1 open tasks that are not given, such as 'a'"):
        Dispatcher([Task("b")], [Worker()], SchedulingConfig(), done.state_dict(unseen=["a"]))


def test_the_book_refuses_nonsense() -> None:
    ledger = Ledger(2, attempts=2)
    ledger.begin(["a", "b"])
    ledger.hand_out("a", 0, 0.0, 1.0)
    with pytest.raises(ValueError, match="worker 0 has task 'a'"):
        ledger.hand_out("b", 0, 0.0, 1.0)
    with pytest.raises(ValueError, match="'c' is not open"):
        ledger.hand_out("c", 1, 0.0, 1.0)
    assert ledger.settle("a", None) and not ledger.settle("a", "too late")
    assert ledger.failed == {}
    with pytest.raises(ValueError, match="worker 1 has no task"):
        Dispatcher([Task("a")], [Worker()] * 2, SchedulingConfig()).finish(1, 1.0, 1.0)
