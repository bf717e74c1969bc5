"""Convergence speeds of curves whose speed is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.rl.study.convergence import Curve, Goal, speed


def curve(objective: np.ndarray, rate: float = 100.0, episodes: np.ndarray | None = None) -> Curve:
    """Records of 10 frames each, `rate` frames a second."""
    frames = 10.0 * np.arange(1, len(objective) + 1)
    episodes = np.ones(len(objective)) if episodes is None else episodes
    return Curve(frames, frames / rate, np.asarray(objective, np.float64), episodes)


def test_the_speed_of_a_straight_line_is_its_slope() -> None:
    rising = curve(0.02 * np.arange(1, 101))  # 0.002 a frame
    found = speed(rising, Goal(0.0, 1.0))
    # Smoothing over 50 frames is 20 frames late: the mean over 5 records.
    assert found.reached
    assert found.per_frame == pytest.approx(1.0 / 520)
    assert found.per_second == pytest.approx(100.0 / 520)


def test_between_two_records_the_curve_is_linear() -> None:
    steps = curve(np.array([0.0, 0.0, 1.0, 1.0]))  # too short to be smoothed
    assert speed(steps, Goal(0.0, 0.25)).per_frame == pytest.approx(0.25 / 22.5)


def test_a_goal_that_is_missed_counts_what_was_gained_over_all_frames() -> None:
    flat = curve(np.full(100, 0.5), rate=10.0)
    found = speed(flat, Goal(0.2, 1.0))
    assert not found.reached
    assert found.per_frame == pytest.approx(0.3 / 1000)
    assert found.per_second == pytest.approx(0.3 / 100)
    assert speed(flat, Goal(0.7, 1.0)).per_frame == 0


def test_the_goal_is_a_share_of_the_gain_of_the_reference() -> None:
    first, second = curve(np.linspace(0, 1, 100)), curve(np.linspace(0, 3, 100))
    goal = Goal.of([first, second], 0.5)
    # The first and last tenth of the frames: 0.045 and 0.955 of what a straight line gains.
    assert goal.start == pytest.approx(2 * np.linspace(0, 1, 100)[:10].mean())
    assert goal.gain == pytest.approx(
        0.5 * 2 * (np.linspace(0, 1, 100)[-10:].mean() - np.linspace(0, 1, 100)[:10].mean())
    )


def test_records_count_by_their_episodes() -> None:
    objective, episodes = np.array([1.0, 4.0, 2.0, 0.0]), np.array([3.0, 1.0, 2.0, 2.0])
    whole = Curve(np.array([1.0, 2.0, 3.0, 4.0]), np.arange(4.0), objective, episodes)
    assert whole.smoothed(span=0.5) == pytest.approx([1.0, 7 / 4, 8 / 3, 1.0])
    assert whole.smoothed(span=0.0) == pytest.approx(objective)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=60), st.floats(0, 1))
def test_smoothing_stays_within_what_it_smooths(values: list[float], span: float) -> None:
    smooth = curve(np.array(values)).smoothed(span)
    assert smooth.min() >= min(values) - 1e-9 and smooth.max() <= max(values) + 1e-9


@given(st.floats(0.1, 3.0), st.integers(20, 200))
def test_twice_as_fast_by_the_clock_is_no_faster_by_frames(slope: float, count: int) -> None:
    values = slope * np.arange(count)
    goal = Goal(0.0, 0.6 * values[-1])
    slow, fast = (speed(curve(values, rate), goal) for rate in (50.0, 100.0))
    assert slow.per_frame == pytest.approx(fast.per_frame)
    assert fast.per_second == pytest.approx(2 * slow.per_second)


def test_seconds_begin_with_the_first_record() -> None:
    rows = [
        {"total_frames": 10, "total_seconds": 7.0, "objective": None, "episodes": 0},
        {"total_frames": 20, "total_seconds": 8.0, "objective": 0.5, "episodes": 4},
        {"total_frames": 30, "total_seconds": 9.5, "objective": 0.7, "episodes": 2},
    ]
    found = Curve.of(rows)
    assert found.seconds.tolist() == [1.0, 2.5] and found.frames.tolist() == [20.0, 30.0]
    again = Curve.from_lists(found.lists())
    assert all(np.array_equal(getattr(found, name), getattr(again, name)) for name in vars(found))
