"""Scores of a search against slow twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.rl.rewards.scores import best_so_far, top_auc, uniqueness

VALUES = st.lists(st.floats(-1, 1), max_size=60)


def slow_mean(values: list[float], top: int) -> float:
    best = sorted(values, reverse=True)[:top]
    return sum(best) / len(best)


def slow_auc(values: list[float], top: int, budget: int, every: int) -> float:
    """Of a curve with a value for each evaluation: straight lines between the known points, summed call by call."""
    values = values[:budget]
    if not values:
        return 0.0
    points = {0: 0.0} | {n: slow_mean(values[:n], top) for n in range(1, len(values)) if n % every == 0}
    points |= {len(values): slow_mean(values, top), budget: slow_mean(values, top)}
    curve = np.interp(np.arange(budget + 1), list(points), list(points.values()))
    return sum((curve[k] + curve[k + 1]) / 2 for k in range(budget)) / budget


@given(VALUES, st.integers(1, 12))
def test_best_so_far(values: list[float], top: int) -> None:
    expected = [slow_mean(values[: k + 1], top) for k in range(len(values))]
    np.testing.assert_allclose(best_so_far(np.array(values), top), expected, atol=1e-12)


@given(VALUES, st.integers(1, 12), st.integers(1, 80), st.integers(1, 30))
def test_top_auc(values: list[float], top: int, budget: int, every: int) -> None:
    found = top_auc(np.array(values), top, budget, every)
    assert found == pytest.approx(slow_auc(values, top, budget, every), abs=1e-12)


def test_top_auc_by_hand() -> None:
    """Means of the best two after 2, 4 and 5 of 10 evaluations: 0.2, 0.5, 0.7."""
    values = np.array([0.1, 0.3, 0.4, 0.6, 0.8])
    area = 2 * (0 + 0.2) / 2 + 2 * (0.2 + 0.5) / 2 + 1 * (0.5 + 0.7) / 2 + 5 * 0.7
    assert top_auc(values, 2, 10, every=2) == pytest.approx(area / 10)


def test_uniqueness() -> None:
    assert uniqueness(["C", "CC", "C", "CCC"]) == 0.75
    assert uniqueness([]) == 0.0
