"""Measures of imbalance against their definitions, written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.rl.scheduling.metrics import efficiency, gamma, loads, relative_sigma_load, sigma_load


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30))
def test_equations(load: list[float]) -> None:
    mean = math.fsum(load) / len(load)
    sigma = math.sqrt(math.fsum((x - mean) ** 2 for x in load) / len(load))
    assert sigma_load(load) == pytest.approx(sigma, rel=1e-9, abs=1e-9 * mean)
    assert gamma(load) == pytest.approx(max(load) / mean if mean else 1.0)
    assert relative_sigma_load(load) == pytest.approx(sigma / mean if mean else 0.0, abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 100)), max_size=40))
def test_loads_are_sums(tasks: list[tuple[int, float]]) -> None:
    expected = [math.fsum(seconds for worker, seconds in tasks if worker == i) for i in range(5)]
    found = loads([worker for worker, _ in tasks], [seconds for _, seconds in tasks], 5)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_perfect_run() -> None:
    assert sigma_load([3, 3, 3]) == 0
    assert gamma([3, 3, 3]) == 1
    assert efficiency(9, [1, 1, 1], 3) == 1
    assert efficiency(9, [2, 1], 6) == 0.5
    assert efficiency(0, [1], 0) == 1


def test_loads_of_nobody_are_an_error() -> None:
    for measure in (sigma_load, relative_sigma_load, gamma):
        with pytest.raises(ValueError, match="one or more workers"):
            measure([])
