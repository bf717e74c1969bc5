"""Roles: every rank has one, and every worker an owner that knows of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.errors import ConfigError
from hydrasurr.rl.executors.ranks import Roles


@given(learners=st.integers(1, 5), evaluator=st.booleans(), more=st.integers(0, 9))
def test_everyone_has_a_place(learners: int, evaluator: bool, more: int) -> None:
    size = 2 * learners + evaluator + more
    roles = Roles(size, learners, evaluator)
    named = [roles.role(rank) for rank in range(size)]
    assert named == ["learner"] * learners + ["evaluator"] * evaluator + ["actor"] * (size - learners - evaluator)
    worked = [rank for owner in range(learners) for rank in (*roles.actors(owner), *roles.evaluators(owner))]
    assert sorted(worked) == list(range(learners, size))
    for owner in range(learners):
        assert all(roles.owner(rank) == owner for rank in (*roles.actors(owner), *roles.evaluators(owner)))
    counts = [len(roles.actors(owner)) for owner in range(learners)]
    assert max(counts) - min(counts) <= 1 <= min(counts)


def test_too_few() -> None:
    with pytest.raises(ConfigError, match="4 ranks are too few for 2 learners and an evaluator.*start 5 or more"):
        Roles(4, 2, True)
