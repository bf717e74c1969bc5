"""What is read from records, against numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import gaussian_kde

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.study.bottleneck_figures import kernel_density
from hydrasurr.rl.study.measures import (
    OPERATIONS,
    busy_seconds,
    frames_over_time,
    gaps,
    learner_parts,
    loss_variance,
    mean_rate,
    operations,
    played,
    steady_records,
    variance_of_means,
)


def record(number: int, **changes: Any) -> dict[str, Any]:
    """The n-th record of a run: 2 s, in which 2 actors play 4 rollouts of 10 frames."""
    start = 1000.0 + 2 * number
    base = {
        "update": 4 * number,
        "total_frames": 40 * number,
        "total_seconds": 2.0 * number,
        "updates": 4,
        "frames": 40,
        "rollouts": 4,
        "episodes": 8,
        "seconds": {"all": 2.0, "wait": 1.0, "learn": 0.6, "publish": 0.1, "save": 0.1},
        "actor_seconds": {"load": 0.1, "play": 2.4, "reward": 1.0, "digest": 0.3},
        "played": {
            "actor": [0, 1, 0, 1],
            "end": [start + 0.9, start + 1.0, start + 1.9, start + 2.0],
            "seconds": [0.8] * 4,
        },
        "objective": 0.5,
        "objective_std": 0.1,
        "length": 5.0,
        "loss": {"value_loss": 1.0 + number % 2},
        "all_reduce_seconds": 0.3,
        "exposed_seconds": 0.2,
        "bytes_sent": {"local": 0, "global": 400},
        "lag": {"min": 0, "mean": 1.0, "max": 2, "discarded": 0},
        "load": {"busy": [1.6 * number, 1.5 * number], "vain": [0.0, 0.0]},
        "evaluations": 1,
    }
    return base | changes


RUN = [record(number) for number in range(1, 11)]


def test_the_first_records_are_left_out() -> None:
    assert [r["update"] for r in steady_records(RUN, 120)] == [16, 20, 24, 28, 32, 36, 40]
    assert [r["update"] for r in steady_records(RUN, 0)] == [8, 12, 16, 20, 24, 28, 32, 36, 40]
    assert [r["update"] for r in steady_records(RUN[:3], 400)] == [8, 12]  # a short run has its last two
    with pytest.raises(HydrasurrError, match="more design.frames"):
        steady_records(RUN[:1], 0)


def test_a_learner_computes_communicates_and_waits() -> None:
    parts = learner_parts(RUN[0])
    assert parts == pytest.approx({"computation": 0.6, "communication": 0.2, "wait": 1.0, "step": 0.2})
    late = record(1, exposed_seconds=0.9)  # timers that differ do not make it negative
    assert learner_parts(late)["computation"] == pytest.approx(0.2)


def test_busy_seconds_are_those_of_the_steady_records() -> None:
    steady = RUN[4:]
    assert busy_seconds(RUN, steady) == pytest.approx([1.6 * 6, 1.5 * 6])
    restarted = [*RUN[:5], *(record(n, load={"busy": [1.0 * (n - 5), 0.5], "vain": [0, 0]}) for n in range(6, 11))]
    assert busy_seconds(restarted, restarted[4:]) == pytest.approx([5.0, 0.5])
    over = [*RUN[:9], record(10, load={"busy": [100.0, 15.0], "vain": [0, 0]})]
    assert busy_seconds(over, over[9:])[0] == 2.0  # a rollout that began before


def test_gaps_are_between_rollouts_of_one_actor() -> None:
    rollouts = played(RUN[:2])
    # Actor 0 ends at 0.9, 1.9, 2.9, 3.9 with 0.8 s each.
    assert gaps(rollouts) == pytest.approx([0.2] * 6)
    assert len(gaps({"actor": [0], "end": [1.0], "seconds": [0.5]})) == 0


def test_operations_share_out_all_that_is_no_waiting() -> None:
    rows = operations(RUN[:6])
    assert len(rows) == 3 and all(tuple(row) == OPERATIONS for row in rows)
    # Of two records each: exposed 0.2 + publish 0.1 + load 0.1, learn without exposed, rewards, play, digest and save
    assert list(rows[0].values()) == pytest.approx([0.8, 0.8, 2.0, 4.8, 0.8])


def test_frames_over_time_go_by_the_clock() -> None:
    times = frames_over_time(RUN, learners=2)
    assert times["seconds"][0] == 0 and times["seconds"][-1] == pytest.approx(19.1)
    assert times["frames"][0] == 20 and times["frames"][-1] == 800
    assert mean_rate(times) == pytest.approx(780 / 19.1)


def test_loss_variance_is_that_of_single_updates() -> None:
    found = loss_variance(RUN, after=200)
    # Records 6 to 10 have 1, 2, 1, 2, 1 with 4 updates each.
    assert found["name"] == "value_loss" and found["mean"] == pytest.approx(1.4)
    assert found["variance"] == pytest.approx(4 * np.var([1, 2, 1, 2, 1], ddof=1))
    assert loss_variance([record(1, loss={})], after=0)["variance"] is None


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=40))
def test_variance_of_single_values_is_the_usual_one(values: list[float]) -> None:
    found = variance_of_means(values, [1] * len(values))
    assert found["variance"] == pytest.approx(np.var(values, ddof=1), abs=1e-9)


def test_variance_of_means_is_unbiased() -> None:
    random = np.random.default_rng(0)
    found = []
    for _ in range(400):
        counts = random.integers(1, 9, 12)
        values = [random.normal(3.0, 2.0, count).mean() for count in counts]
        found.append(variance_of_means(values, counts.tolist())["variance"])
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - 4.0) < 4 * error


def test_a_density_is_that_of_scipy() -> None:
    values = np.random.default_rng(1).normal(0, 1, 300)
    grid = np.linspace(-6, 6, 2000)
    curve = kernel_density(values, grid)
    quartiles = np.subtract(*np.percentile(values, [75, 25])) / 1.34
    width = 0.9 * min(values.std(), quartiles) * 300 ** (-1 / 5)
    assert curve == pytest.approx(gaussian_kde(values, width / values.std(ddof=1))(grid), abs=1e-9)
    assert curve.sum() * (grid[1] - grid[0]) == pytest.approx(1.0, abs=1e-3)
    assert np.isfinite(kernel_density(np.ones(3), np.linspace(0, 2, 9))).all()
