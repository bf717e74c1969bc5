"""Records put together say what one record of all of it would have said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.rl.running.condensed import condensed, together

Times = st.floats(0, 100)


@st.composite
def stories(draw: st.DrawFn) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """A record, and the objectives and lengths of the episodes that it is of."""
    count, updates, rollouts = draw(st.integers(0, 5)), draw(st.integers(0, 3)), draw(st.integers(1, 4))
    objective = np.array(draw(st.lists(st.floats(-10, 10), min_size=count, max_size=count)))
    length = np.array(draw(st.lists(st.integers(1, 40), min_size=count, max_size=count)), float)
    lags = draw(st.lists(st.integers(0, 9), min_size=rollouts, max_size=rollouts))
    record = {
        "update": draw(st.integers(0, 9)),
        "updates": updates,
        "frames": draw(st.integers(0, 99)),
        "rollouts": rollouts,
        "episodes": count,
        "objective": float(objective.mean()) if count else None,
        "objective_std": float(objective.std()) if count else None,
        "length": float(length.mean()) if count else None,
        "loss": {"loss": draw(Times)} if updates else {},
        "seconds": {"all": draw(Times), "wait": draw(Times)},
        "actor_seconds": {"play": draw(Times)},
        "bytes_sent": {"global": draw(st.integers(0, 1000))},
        "all_reduce_seconds": draw(Times),
        "exposed_seconds": draw(Times),
        "lag": {"min": min(lags), "mean": float(np.mean(lags)), "max": max(lags), "discarded": draw(st.integers(0, 3))},
    }
    return record, objective, length


@given(st.lists(stories(), min_size=1, max_size=6))
def test_together(told: list[tuple[dict[str, Any], np.ndarray, np.ndarray]]) -> None:
    records = [record for record, _, _ in told]
    objective, length = (np.concatenate([each[k] for each in told]) for k in (1, 2))
    one = together(records)
    assert one["episodes"] == len(objective)
    if len(objective):
        assert one["objective"] == pytest.approx(objective.mean(), abs=1e-9)
        assert one["objective_std"] == pytest.approx(objective.std(), abs=1e-6)
        assert one["length"] == pytest.approx(length.mean())
    else:
        assert one["objective"] is one["objective_std"] is one["length"] is None
    for name in ("updates", "frames", "rollouts", "all_reduce_seconds", "exposed_seconds"):
        assert one[name] == pytest.approx(sum(record[name] for record in records))
    for group, name in (("seconds", "wait"), ("actor_seconds", "play"), ("bytes_sent", "global"), ("lag", "discarded")):
        assert one[group][name] == pytest.approx(sum(record[group][name] for record in records))
    assert one["lag"]["min"] == min(record["lag"]["min"] for record in records)
    assert one["lag"]["max"] == max(record["lag"]["max"] for record in records)
    rollouts = sum(record["rollouts"] for record in records)
    assert one["lag"]["mean"] * rollouts == pytest.approx(sum(r["lag"]["mean"] * r["rollouts"] for r in records))
    if updates := sum(record["updates"] for record in records):
        total = sum(record["loss"].get("loss", 0.0) * record["updates"] for record in records)
        assert one["loss"]["loss"] * updates == pytest.approx(total)
    assert one["update"] == records[-1]["update"]


@given(st.lists(stories(), max_size=12), st.integers(1, 15))
def test_condensed(told: list[tuple[dict[str, Any], np.ndarray, np.ndarray]], most: int) -> None:
    records = [record for record, _, _ in told]
    few = condensed(records, most)
    assert len(few) == min(most, len(records))
    for name in ("frames", "episodes", "rollouts"):
        assert sum(record[name] for record in few) == sum(record[name] for record in records)
    assert [record["update"] for record in few[-1:]] == [record["update"] for record in records[-1:]]
