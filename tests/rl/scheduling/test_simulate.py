"""The simulation against closed forms and against simple simulations written for one scheduler each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.scheduling.config import LeaseConfig, SchedulingConfig
from hydrasurr.rl.scheduling.simulate import Delays, Fault, Simulated, draw_faults, simulate
from hydrasurr.rl.scheduling.tasks import Worker
from tests.rl.scheduling.names import NAMES


def draw_costs(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(0, 1, count)


def each_once(run: Simulated, count: int) -> bool:
    return sorted([a.task for a in run.attempts if a.counts] + list(run.failed) + list(run.unfinished)) == list(
        range(count)
    )


@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 10_000))
def test_static_shares_are_sums(count: int, workers: int, seed: int) -> None:
    cost = draw_costs(count, seed)
    for name, shares in (
        ("block", np.array_split(cost, workers)),
        ("cyclic", [cost[worker::workers] for worker in range(workers)]),
    ):
        report = simulate(cost, workers, SchedulingConfig(scheduler=name)).report
        np.testing.assert_allclose(report.load, [share.sum() for share in shares])
        assert report.seconds == pytest.approx(max(report.load))
        assert report.efficiency == pytest.approx(cost.sum() / workers / report.seconds)
        assert report.gamma == pytest.approx(1 / report.efficiency)


@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 10_000), st.floats(0, 2), st.floats(0, 0.5))
def test_a_shared_list_step_by_step(count: int, workers: int, seed: int, latency: float, service: float) -> None:
    cost = draw_costs(count, seed)
    free, list_free, ends = [0.0] * workers, 0.0, [0.0] * count
    for task in sorted(range(count), key=lambda task: -cost[task]):
        worker = min(range(workers), key=lambda worker: free[worker])
        list_free = max(list_free, free[worker]) + service
        free[worker] = ends[task] = list_free + latency + cost[task]
    run = simulate(
        cost, workers, SchedulingConfig(scheduler="dynamic"), hint=cost, delays=Delays(latency, service)
    )
    assert [a.end for a in sorted(run.attempts)] == pytest.approx(ends)
    assert run.report.seconds == pytest.approx(max(ends))
    assert sum(run.report.load) == pytest.approx(cost.sum())


def steal_step_by_step(cost: np.ndarray, workers: int, latency: float) -> list[float]:
    """When each task ends, if the fullest is stolen from; times are told apart by who comes first."""
    lists = [sorted(share, key=lambda task: -cost[task]) for share in np.array_split(np.arange(len(cost)), workers)]
    free, ends = [0.0] * workers, [0.0] * len(cost)
    while any(lists):
        worker = min(range(workers), key=lambda worker: free[worker])
        if not lists[worker]:
            victim = max(range(workers), key=lambda victim: sum(cost[task] for task in lists[victim]))
            half = len(lists[victim]) // 2
            lists[worker], lists[victim] = lists[victim][half:], lists[victim][:half]
            free[worker] += latency
        task = lists[worker].pop(0)
        free[worker] += cost[task]
        ends[task] = free[worker]
    return ends


@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 10_000), st.floats(0, 2))
def test_stealing_step_by_step(count: int, workers: int, seed: int, latency: float) -> None:
    cost = draw_costs(count, seed)
    config = SchedulingConfig(scheduler="stealing")
    run = simulate(cost, workers, config, hint=cost, delays=Delays(latency=latency))
    assert [a.end for a in sorted(run.attempts)] == pytest.approx(steal_step_by_step(cost, workers, latency))


@given(st.sampled_from(NAMES), st.integers(0, 60), st.integers(1, 9), st.integers(0, 10_000))
def test_each_task_counts_once_whatever_happens(name: str, count: int, workers: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    cost = draw_costs(count, seed)
    faults = draw_faults(workers, 0.1, 10.0, seed, seconds=float(random.choice([0.5, np.inf])))
    faults += [Fault(float(random.uniform(0, 10)), int(random.integers(workers)), "stall", 20.0) for _ in range(5)]
    lease = LeaseConfig(seconds=5.0, attempts=int(random.integers(1, 5)))
    config = SchedulingConfig(scheduler=name, victim=str(random.choice(["fullest", "random"])), seed=seed, lease=lease)
    hint = cost * random.lognormal(0, 0.3, count)
    run = simulate(cost, workers, config, hint=hint, delays=Delays(0.01, 0.001), faults=faults)
    assert each_once(run, count)
    gone = {fault.worker for fault in faults if fault.kind == "death" and fault.seconds == np.inf}
    assert not run.unfinished or len(gone) == workers
    assert all(a.end >= a.start for a in run.attempts)
    for worker in range(workers):  # one at a time
        spans = sorted((a.start, a.end) for a in run.attempts if a.worker == worker)
        assert all(end <= start + 1e-9 for (_, end), (start, _) in zip(spans[:-1], spans[1:], strict=True))
    again = simulate(cost, workers, config, hint=hint, delays=Delays(0.01, 0.001), faults=faults)
    assert again == run


def test_a_death_costs_what_was_being_done() -> None:
    faults = [Fault(3.0, 0, "death", seconds=2.0)]
    run = simulate([4.0, 4.0, 4.0], 2, SchedulingConfig(), faults=faults)
    # Worker 0 loses task 0 at 3; worker 1 takes task 0 or 2 at 4, worker 0 the other one at 5.
    assert run.report.seconds == pytest.approx(9)
    assert run.report.load == pytest.approx((3 + 4, 8))
    assert run.report.vain == pytest.approx((3, 0))
    assert run.report.efficiency == pytest.approx(12 / (2 * 9))
    assert sum(not a.counts for a in run.attempts) == 1


def test_a_poison_task_fails_and_the_others_do_not() -> None:
    cost = [1.0] * 10 + [100.0]
    faults = [Fault(2.5 + 5 * i, worker, "death", 0.5) for i in range(10) for worker in range(3)]
    config = SchedulingConfig(scheduler="dynamic", lease=LeaseConfig(attempts=3))
    run = simulate(cost, 3, config, hint=cost, faults=faults)
    assert each_once(run, 11)
    assert list(run.failed) == [10]
    assert run.failed[10] == "the worker died (attempt 3 of 3)"


def test_a_stalled_worker_loses_its_lease_and_the_first_result_counts() -> None:
    config = SchedulingConfig(lease=LeaseConfig(seconds=2.0))
    stalls = [Fault(0.5, 0, "stall", seconds=100.0)]
    run = simulate([1.0, 1.0, 1.5, 1.0], 2, config, hint=[4, 3, 2, 1], faults=stalls)
    assert each_once(run, 4)
    assert not run.failed
    assert all(a.worker == 1 for a in run.attempts)
    assert run.report.seconds == pytest.approx(4.5)  # worker 1 does all four one by one
    late = simulate([1.0] * 2 + [200.0], 2, config.model_copy(update={"lease": LeaseConfig(seconds=60.0)}),
                    hint=[3, 2, 1], faults=stalls)  # fmt: skip
    assert each_once(late, 3)
    duplicates = [a for a in late.attempts if not a.counts]
    assert all(a.task == 0 for a in duplicates)


@pytest.mark.parametrize("name", NAMES)
def test_one_comes_back_and_does_it_all(name: str) -> None:
    faults = [Fault(1.5, 0, "death", seconds=np.inf), Fault(1.5, 1, "death", seconds=10.0)]
    run = simulate([1.0] * 10, 2, SchedulingConfig(scheduler=name), faults=faults)
    assert each_once(run, 10)
    assert not run.unfinished
    assert run.report.seconds == pytest.approx(11.5 + 8)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_dead_worker_was_to_do_others_do(name: str) -> None:
    """Worker 1 has nothing left to do when worker 0 dies, and the task that is lost is not tried again."""
    config = SchedulingConfig(scheduler=name, lease=LeaseConfig(attempts=1))
    faults = [Fault(15.0, 0, "death")]
    run = simulate([10.0] * 3 + [1.0] * 3, 2, config, faults=faults)
    assert each_once(run, 6)
    assert not run.unfinished
    assert len(run.failed) <= 1


def test_who_rests_gets_a_share_when_shares_are_dealt_again() -> None:
    faults = [Fault(50.0, 2, "death", seconds=100.0)]
    run = simulate([100.0] * 4 + [1.0] * 8, 3, SchedulingConfig(scheduler="block"), faults=faults)
    assert not run.unfinished
    # At 150 two tasks wait, while worker 0 has its second one.
    assert run.report.load == pytest.approx((300, 104, 4))


def test_nobody_left() -> None:
    run = simulate([5.0] * 4, 2, SchedulingConfig(), faults=[Fault(6.0, worker, "death") for worker in (0, 1)])
    assert run.unfinished == (2, 3)
    assert not run.failed


def test_costs_are_learnt_from_features() -> None:
    """Nothing is known beforehand; what the first tasks took sorts the others."""
    random = np.random.default_rng(0)
    features = random.normal(size=(400, 1))
    cost = np.exp(1.5 * features[:, 0])
    blind = simulate(cost, 16, SchedulingConfig()).report
    learning = simulate(cost, 16, SchedulingConfig(), features=features).report
    knowing = simulate(cost, 16, SchedulingConfig(), hint=cost).report
    assert knowing.seconds <= learning.seconds < blind.seconds


def test_speeds_of_devices_are_learnt() -> None:
    cost = draw_costs(320, 0)
    workers = [Worker("old" if i % 2 else "new") for i in range(16)]
    speed = [1.0 if i % 2 else 5.0 for i in range(16)]
    ideal = cost.sum() / sum(speed)
    run = simulate(cost, workers, SchedulingConfig(scheduler="predictive"), hint=cost, speed=speed)
    static = simulate(cost, workers, SchedulingConfig(scheduler="block"), hint=cost, speed=speed)
    assert run.report.seconds < 1.15 * ideal < static.report.seconds


def test_many_workers() -> None:
    cost = draw_costs(128 * 10, 0)
    seconds = {
        name: simulate(cost, 128, SchedulingConfig(scheduler=name), hint=cost).report.seconds for name in NAMES
    }
    bound = max(cost.sum() / 128, cost.max())
    for name in ("dynamic", "predictive", "device_aware"):
        assert seconds[name] < 1.05 * bound
    assert seconds["stealing"] < 1.2 * bound
    assert min(seconds["block"], seconds["cyclic"]) > 1.3 * bound


def test_wrong_costs() -> None:
    with pytest.raises(HydrasurrError, match="finite"):
        simulate([1.0, np.nan], 2, SchedulingConfig())
