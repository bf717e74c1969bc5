"""The measures of a study against numbers worked out by hand, and what must hold for all numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.rl.study.equations import (
    convergence_degradation,
    efficiency_with_communication,
    iteration_seconds,
    parallel_efficiency,
    performance_index,
    robustness,
    speed_up,
    system_efficiency,
    utilisation,
)

seconds = st.floats(1e-3, 1e3)
shares = st.lists(st.floats(0, 1), min_size=1, max_size=9)


def test_the_speed_up_that_the_paper_reports() -> None:
    # 106.1 times on 128 GPUs, "above 80%"
    assert speed_up(1061.0, 10.0) == pytest.approx(106.1)
    assert parallel_efficiency(1061.0, 10.0, 128) == pytest.approx(0.82890625)


def test_efficiency_with_communication() -> None:
    assert efficiency_with_communication(100.0, 20.0, 5.0, 4) == pytest.approx(1.0)
    assert efficiency_with_communication(100.0, 25.0, 25.0, 4) == pytest.approx(0.5)


@given(seconds, seconds, st.integers(1, 1000))
def test_without_communication_both_efficiencies_agree(first: float, each: float, workers: int) -> None:
    eta = parallel_efficiency(first, each, workers)
    assert efficiency_with_communication(first, each, 0.0, workers) == pytest.approx(eta)
    assert eta * workers == pytest.approx(speed_up(first, each))


def test_convergence_degradation() -> None:
    assert convergence_degradation(0.5, 0.4) == pytest.approx(20.0)
    assert convergence_degradation(0.5, 0.5) == 0
    assert convergence_degradation(0.5, 0.75) == pytest.approx(-50.0)
    with pytest.raises(ValueError, match="one above 0"):
        convergence_degradation(0.0, 0.1)


@given(seconds, seconds, seconds)
def test_degradation_knows_no_units(reference: float, ablated: float, unit: float) -> None:
    scaled = convergence_degradation(reference * unit, ablated * unit)
    assert scaled == pytest.approx(convergence_degradation(reference, ablated), rel=1e-9, abs=1e-9)


def test_an_iteration_ends_with_the_longest_wait() -> None:
    assert iteration_seconds(3.0, 0.5, [0.1, 0.7, 0.0]) == pytest.approx(4.2)


@given(st.lists(st.tuples(seconds, seconds), min_size=1, max_size=8), seconds)
def test_the_sum_is_exact_for_who_waits_longest(workers: list[tuple[float, float]], communication: float) -> None:
    """Workers in step: each computes, waits for the slowest, and all communicate."""
    computation = np.array([a + b for a, b in workers])
    iteration = computation.max() + communication
    waits = computation.max() - computation
    assert iteration_seconds(computation[waits.argmax()], communication, waits) == pytest.approx(iteration)


def test_utilisation_and_system_efficiency() -> None:
    active = [9.0, 10.0, 5.0]
    assert utilisation(active, 10.0) == pytest.approx(0.8)
    # 24 / (30 + 1 + 0 + 5)
    assert system_efficiency(active, 10.0) == pytest.approx(24 / 36)
    assert system_efficiency(active, 10.0, [0.0, 0.0, 0.0]) == pytest.approx(0.8)
    with pytest.raises(ValueError, match="one or more devices"):
        utilisation([], 1.0)


@given(shares, seconds)
def test_idle_time_counts_twice_as_printed(active: list[float], total: float) -> None:
    used = utilisation(np.multiply(active, total), total)
    assert system_efficiency(np.multiply(active, total), total) == pytest.approx(used / (2 - used), abs=1e-12)


def test_robustness() -> None:
    assert robustness(3, 4, 80.0, 100.0) == pytest.approx(0.6)
    assert robustness(2, 2, 120.0, 100.0) == 1
    with pytest.raises(ValueError, match="no faults"):
        robustness(0, 0, 1.0, 1.0)


def test_performance_index() -> None:
    assert performance_index(0.9, 20.0, 0.5, (0.5, 0.3, 0.2)) == pytest.approx(0.45 + 0.24 + 0.1)
    assert performance_index(1.0, 0.0, 1.0, (0.2, 0.3, 0.5)) == pytest.approx(1.0)


@given(st.floats(0, 1), st.floats(0, 100), st.floats(0, 1), st.lists(seconds, min_size=3, max_size=3))
def test_weights_that_add_up_to_one_keep_the_index_in_bounds(
    eta: float, degradation: float, robust: float, weights: list[float]
) -> None:
    alpha, beta, gamma = (weight / sum(weights) for weight in weights)
    assert -1e-9 <= performance_index(eta, degradation, robust, (alpha, beta, gamma)) <= 1 + 1e-9
