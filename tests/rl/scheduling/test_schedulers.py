"""Schedules of small cases against the best possible ones, and single decisions against their rules."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.rl.scheduling.config import SchedulingConfig
from hydrasurr.rl.scheduling.cost import CostModel
from hydrasurr.rl.scheduling.crew import Crew
from hydrasurr.rl.scheduling.device_aware import DeviceAwareScheduler
from hydrasurr.rl.scheduling.dispatch import Dispatcher
from hydrasurr.rl.scheduling.schedulers import make_scheduler
from hydrasurr.rl.scheduling.simulate import simulate
from hydrasurr.rl.scheduling.tasks import Task, Worker
from hydrasurr.strict import parse
from tests.rl.scheduling.names import NAMES


def best_possible(cost: list[float], workers: int) -> float:
    """By trying all ways."""
    ways = product(range(workers), repeat=len(cost))
    return min(max(np.bincount(way, cost, workers)) for way in ways)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=7), st.integers(1, 3))
def test_largest_first_is_near_the_optimum(cost: list[float], workers: int) -> None:
    bound = (4 / 3 - 1 / (3 * workers)) * best_possible(cost, workers)
    for name in ("predictive", "dynamic", "device_aware"):
        run = simulate(cost, workers, SchedulingConfig(scheduler=name), hint=cost)
        assert run.report.seconds <= bound * (1 + 1e-9)
        assert sum(run.report.load) == pytest.approx(sum(cost))


def test_the_bound_is_reached() -> None:
    for workers in (2, 3, 4):  # R. L. Graham's worst case
        cost = [x for x in range(2 * workers - 1, workers, -1) for _ in range(2)] + [workers] * 3
        run = simulate(cost, workers, SchedulingConfig(scheduler="predictive"), hint=cost)
        assert run.report.seconds == pytest.approx(4 * workers - 1)
        assert 3 * workers == pytest.approx(sum(cost) / workers)


def test_static_shares() -> None:
    for name, shares in (("block", [[0, 1, 2], [3, 4]]), ("cyclic", [[0, 2, 4], [1, 3]])):
        run = simulate([1, 2, 3, 4, 5], 2, SchedulingConfig(scheduler=name))
        done = [[a.task for a in run.attempts if a.worker == worker] for worker in (0, 1)]
        assert done == shares


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_lost_or_given_twice(name: str) -> None:
    random = np.random.default_rng(0)
    crew = Crew([Worker(speed=float(speed)) for speed in (1, 2, 4)], CostModel(1))
    scheduler = make_scheduler(SchedulingConfig(scheduler=name, victim="random"), crew)
    given_out: list[str] = []
    added = 0
    for step in range(400):
        match random.integers(6):
            case 0:
                count = int(random.integers(4))
                scheduler.add(
                    [Task(str(added + i), None, (random.normal(),), random.lognormal()) for i in range(count)], step
                )
                added += count
            case 1:
                worker = int(random.integers(3))
                crew.alive[worker] = not crew.alive[worker]
                (scheduler.joined if crew.alive[worker] else scheduler.lost)(worker, step)
            case 2:
                crew.costs.observe(Task("", None, (random.normal(),)), random.lognormal(), "cpu")
                crew.costs.fit()
                crew.refresh()
                scheduler.refresh(step)
            case _:
                living = np.flatnonzero(crew.alive)
                pick = scheduler.take(int(random.choice(living)), step) if len(living) else None
                given_out += [pick.task.id] if pick else []
        assert len(scheduler) == added - len(given_out)
    crew.alive[:] = False
    crew.alive[2] = True  # the fastest
    for worker in range(3):
        (scheduler.joined if crew.alive[worker] else scheduler.lost)(worker, step)
    while (pick := scheduler.take(2, step)) is not None:
        given_out.append(pick.task.id)
    assert sorted(given_out, key=int) == [str(i) for i in range(added)]
    assert len(scheduler) == 0


def test_device_awareness_by_its_rule() -> None:
    for seed in range(1000):
        follow_the_rule(np.random.default_rng(seed))


def follow_the_rule(random: np.random.Generator) -> None:
    """Worker 0 is free, others may be at work."""
    speeds = random.choice([0.3, 0.5, 1.0, 1.2], random.integers(2, 6))
    crew = Crew([Worker(speed=float(speed)) for speed in speeds], CostModel(0))
    scheduler = DeviceAwareScheduler(crew)
    works = (random.choice([1, 30]) * random.lognormal(0, 1.5, random.integers(1, 5))).tolist()
    scheduler.add([Task(str(i), None, (), work) for i, work in enumerate(works)], 0.0)
    longer = random.choice([1, 30])
    for worker in np.flatnonzero(random.random(len(speeds)) < 0.9).tolist():
        if worker != 0:
            running = Task(f"of {worker}", None, (), longer * float(random.lognormal(0, 1)))
            crew.begin(worker, running, -random.random())
    left = crew.time_left(0.0)
    while works:
        all_left = sum(works) + (left * speeds).sum()
        allowed = [
            work
            for work in works
            if work / speeds[0] <= all_left / speeds.sum() * (1 + 1e-9)
            or all(work / speeds[0] <= left[k] + work / speeds[k] for k in range(len(speeds)) if speeds[k] > speeds[0])
        ]
        pick = scheduler.take(0, 0.0)
        assert (pick.task.hint if pick else None) == (max(allowed) if allowed else None)
        if pick is None:
            break
        works.remove(pick.task.hint)


def test_speeds_that_were_learnt_count() -> None:
    workers = [Worker("fast"), Worker("slow")]
    dispatcher = Dispatcher([Task(str(i)) for i in range(200)], workers, SchedulingConfig(scheduler="device_aware"))
    for worker in (0, 1):
        dispatcher.ready(worker, 0.0)
    now = 0.0
    for _ in range(9):
        now += 1.0
        dispatcher.offer(now)
        for worker, seconds in ((0, 0.1), (1, 1.0)):
            dispatcher.finish(worker, seconds, now)
    assert dispatcher.crew.speed[0] > 5 * dispatcher.crew.speed[1]


def test_a_slow_worker_leaves_the_tail_alone() -> None:
    workers = [Worker(speed=1.0), Worker(speed=0.1)]
    cost = [10.0, 10.0]
    careless = simulate(cost, workers, SchedulingConfig(scheduler="dynamic"), hint=cost)
    careful = simulate(cost, workers, SchedulingConfig(scheduler="device_aware"), hint=cost)
    assert careless.report.seconds == pytest.approx(100)
    assert careful.report.seconds == pytest.approx(20)
    cost = [1.0] * 40  # enough for both
    both = simulate(cost, workers, SchedulingConfig(scheduler="device_aware"), hint=cost)
    assert min(both.report.load) > 0


def test_stealing_takes_the_smaller_half() -> None:
    crew = Crew([Worker()] * 3, CostModel(0))
    scheduler = make_scheduler(SchedulingConfig(scheduler="stealing"), crew)
    hints = [5, 1, 4, 2, 3, 9, 8, 7, 6]  # 5 1 4 | 2 3 9 | 8 7 6
    scheduler.add([Task(str(hint), None, (), hint) for hint in hints], 0.0)
    taken = [scheduler.take(0, 0.0) for _ in range(5)]
    # After its own list it takes 7 and 6 of the fullest one, and then, of 2 3 9 and 8, of the former.
    assert [(pick.task.id, pick.own) for pick in taken] == [
        ("5", True), ("4", True), ("1", True), ("7", False), ("6", True),
    ]  # fmt: skip
    assert [pick.task.id for pick in (scheduler.take(0, 0.0), scheduler.take(0, 0.0))] == ["3", "2"]
    assert [scheduler.take(w, 0.0).task.id for w in (1, 2)] == ["9", "8"]
    assert scheduler.take(0, 0.0) is None


def test_predictions_follow_the_device() -> None:
    """One class is good at what the other is bad at; the plan knows."""
    costs = CostModel(1)
    for i in range(200):
        kind = float(i % 2)
        costs.observe(Task("", None, (kind,)), 1.0 + 99.0 * kind, "a")
        costs.observe(Task("", None, (kind,)), 100.0 - 99.0 * kind, "b")
    costs.fit()
    crew = Crew([Worker("a"), Worker("b")], costs)
    scheduler = make_scheduler(SchedulingConfig(scheduler="predictive"), crew)
    scheduler.add([Task(str(i), None, (float(i % 2),)) for i in range(20)], 0.0)
    for worker in (0, 1):
        assert {int(scheduler.take(worker, 0.0).task.id) % 2 for _ in range(10)} == {worker}


def test_errors() -> None:
    with pytest.raises(HydrasurrError, match="at least one"):
        Crew([], CostModel(0))
    with pytest.raises(HydrasurrError, match="worker 1 has speed 0"):
        Crew([Worker(), Worker(speed=0)], CostModel(0))
    with pytest.raises(ConfigError, match="scheduler: Input should be 'block'"):
        parse(SchedulingConfig, {"scheduler": "dynamics"}, "run.json")
