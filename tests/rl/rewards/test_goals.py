"""Scores against their formulas, and against the worst of what is likely."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from hydrasurr.rl.rewards.goals import AnyGoal, Goal, Maximise, Minimise, Range

NUMBERS = st.floats(-20, 20)
ENDS = st.tuples(NUMBERS, st.floats(0.1, 20)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@st.composite
def goals(draw: st.DrawFn) -> Goal:
    low, high = draw(ENDS)
    raw = {"type": draw(st.sampled_from(["maximise", "minimise", "range"])), "low": low, "high": high}
    raw["caution"] = draw(st.floats(0, 3))
    if raw["type"] == "range":
        raw["tolerance"] = draw(st.floats(0.1, 5))
    return TypeAdapter(AnyGoal).validate_python(raw)


@given(goals(), st.lists(st.tuples(NUMBERS, st.floats(0, 5)), min_size=1, max_size=5))
def test_a_score_is_that_of_the_worst_likely_value(goal: Goal, told: list[tuple[float, float]]) -> None:
    """The lower confidence bound, found by trying values."""
    value, std = np.array(told).T
    found = goal.score(value, std)
    for k in range(len(value)):
        likely = value[k] + np.linspace(-goal.caution, goal.caution, 101) * std[k]
        each = goal.score(likely, np.zeros(101))
        np.testing.assert_allclose(found[k], each.min(), rtol=1e-9, atol=1e-9)
    assert (found <= goal.score(value, 0 * std) + 1e-12).all()


@given(ENDS, st.lists(NUMBERS, min_size=1), st.floats(0.1, 5))
def test_certain_values_score_by_the_formulas(ends: tuple[float, float], values: list[float], tolerance: float) -> None:
    low, high = ends
    found = {
        goal.type: goal.score(np.array(values), np.zeros(len(values)))
        for goal in (
            Maximise(low=low, high=high),
            Minimise(low=low, high=high),
            Range(low=low, high=high, tolerance=tolerance),
        )
    }
    for k, value in enumerate(values):
        part = (value - low) / (high - low)
        assert found["maximise"][k] == pytest.approx(part)
        assert found["minimise"][k] == pytest.approx(1 - part, abs=1e-9)
        outside = low - value if value < low else value - high if value > high else 0.0
        assert found["range"][k] == pytest.approx(2.718281828459045 ** (-outside / tolerance))


def test_a_range_of_one_value_is_a_target() -> None:
    goal = Range(low=3, high=3, tolerance=0.5)
    np.testing.assert_allclose(goal.score(np.array([3.0, 2.5, 4.0]), np.zeros(3)), np.exp([0, -1, -2]))
    np.testing.assert_allclose(goal.score(np.array([3.0]), np.array([0.5])), np.exp(-1))


def test_what_is_unknown_has_no_score() -> None:
    for goal in (Maximise(), Minimise(), Range(low=0, high=1, tolerance=1)):
        assert np.isnan(goal.score(np.array([np.nan, 0.5]), np.array([np.nan, 0.0]))).tolist() == [True, False]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"type": "maximise", "low": 1, "high": 1}, "low 1 must be below high 1"),
        ({"type": "minimise", "low": 2, "high": 1}, "low 2 must be below high 1"),
        ({"type": "range", "low": 2, "high": 1, "tolerance": 1}, "low 2 is above high 1"),
        ({"type": "range", "low": 1, "high": 2, "tolerance": 0}, "greater than 0"),
        ({"type": "maximise", "caution": -1}, "greater than or equal to 0"),
    ],
)
def test_what_is_no_goal(raw: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TypeAdapter(AnyGoal).validate_python(raw)
