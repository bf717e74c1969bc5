"""Simulated learners against times worked out by hand, and against each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrasurr.rl.scheduling.config import SchedulingConfig
from hydrasurr.rl.study.cluster import Plan, simulate_cluster

LOGNORMAL = np.random.default_rng(0).lognormal(-0.5, 1.0, 500)


def test_a_fast_learner_waits_for_its_actors() -> None:
    """Three actors, each with a rollout of 3 s: one a second."""
    found = simulate_cluster(Plan(1, 3, [3.0], [0.1], updates=80))
    assert found.rollouts == pytest.approx(1.0, rel=0.05)
    assert found.actor_idle == pytest.approx(0.0, abs=1e-9)
    # 3 actors always and the learner a tenth of the time, of 4 processes
    assert found.utilisation == pytest.approx((3 + 0.1) / 4, rel=0.02)


def test_many_actors_wait_for_a_slow_learner() -> None:
    found = simulate_cluster(Plan(1, 16, [1.0], [0.5], updates=80))
    assert found.seconds == pytest.approx(0.5)
    assert found.rollout_wait == pytest.approx(0.0, abs=1e-9)
    assert found.utilisation == pytest.approx((1 + 2) / 17, rel=0.05)  # 2 rollouts at a time are enough


def test_a_synchronous_iteration_is_rollout_learning_and_communication() -> None:
    plan = Plan(4, 2, [2.0], [0.5], communication=0.25, ahead=0, synchronous=True, updates=12)
    found = simulate_cluster(plan)
    assert found.seconds == pytest.approx(2.75)
    assert found.rollouts == pytest.approx(4 * 2 / 2.75)
    assert found.actor_idle == pytest.approx(0.75 / 2.75)
    assert (found.rollout_wait, found.step_wait) == pytest.approx((2.0, 0.0))


def test_without_prefetch_an_actor_waits_for_the_learner_to_hand_out() -> None:
    """A rollout of 1 s, and then the learner learns for 1 s before it hands out the next."""
    alone = Plan(1, 1, [1.0], [1.0], ahead=0, updates=20)
    assert simulate_cluster(alone).seconds == pytest.approx(2.0)
    assert simulate_cluster(replace(alone, ahead=1)).seconds == pytest.approx(1.0)


def test_handing_out_takes_its_time_between_two_rollouts() -> None:
    found = simulate_cluster(Plan(1, 1, [1.0], [0.0], handing=0.25, updates=40))
    assert found.seconds == pytest.approx(1.25)


@settings(max_examples=25)
@given(
    st.integers(1, 5),
    st.integers(1, 4),
    st.booleans(),
    st.sampled_from(["dynamic", "block", "cyclic", "predictive", "stealing"]),
    st.floats(0.0, 0.5),
    st.integers(0, 99),
)
def test_parts_add_up_to_the_iteration(
    learners: int, actors: int, synchronous: bool, scheduler: str, communication: float, seed: int
) -> None:
    plan = Plan(
        learners,
        actors,
        LOGNORMAL,
        [0.05, 0.1],
        communication,
        ahead=0 if synchronous else 1,
        synchronous=synchronous,
        scheduling=SchedulingConfig(scheduler=scheduler),
        updates=20,
        seed=seed,
    )
    found = simulate_cluster(plan)
    parts = found.computation + found.communication + found.rollout_wait + found.step_wait
    assert parts == pytest.approx(found.seconds)
    assert found.eq11 >= found.seconds - 1e-9
    assert 0 <= found.actor_idle <= 1 and 0 < found.utilisation <= 1
    assert found.system_efficiency == pytest.approx(found.utilisation / (2 - found.utilisation))
    if learners == 1:
        assert found.step_wait == 0
    assert found == simulate_cluster(plan)


def test_stragglers_cost_synchronous_learners_more() -> None:
    asynchronous = Plan(8, 4, LOGNORMAL, [0.05], updates=60)
    in_step = replace(asynchronous, synchronous=True, ahead=0, learning=[0.2], updates=30)
    assert simulate_cluster(asynchronous).rollouts > 1.5 * simulate_cluster(in_step).rollouts
