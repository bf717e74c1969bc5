"""Returns and advantages against their definitions, sum by sum."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hydrasurr.rl.maths.returns import discounted, gae, n_step, vtrace

DISCOUNT, DECAY = 0.9, 0.8


class Trajectory(NamedTuple):
    """Random steps as an environment would give them: the state after a step is that before the next one."""

    reward: Tensor
    value: Tensor
    next_value: Tensor
    ended: Tensor


def trajectory(seed: int, steps: int, count: int = 3) -> Trajectory:
    random = np.random.default_rng(seed)
    reward, value, beyond = (torch.from_numpy(random.normal(size=(steps, count))) for _ in range(3))
    ended = torch.from_numpy(random.random((steps, count)) < 0.25)
    stopped = ended & torch.from_numpy(random.random((steps, count)) < 0.5)
    following = torch.cat([value[1:], beyond[-1:]])
    next_value = torch.where(stopped, 0, torch.where(ended, beyond, following))
    return Trajectory(reward, value, next_value, ended)


trajectories = st.builds(trajectory, st.integers(0, 10_000), st.integers(1, 9))


def end_of(given: Trajectory, t: int, b: int) -> int:
    """The last time of the episode that time t is in."""
    return next((k for k in range(t, len(given.ended)) if given.ended[k, b]), len(given.ended) - 1)


def each(given: Trajectory):
    return ((t, b, end_of(given, t, b)) for t in range(len(given.reward)) for b in range(given.reward.shape[1]))


@given(trajectories)
def test_gae_is_the_sum_of_errors(given: Trajectory) -> None:
    found = gae(*given, DISCOUNT, DECAY)
    error = given.reward + DISCOUNT * given.next_value - given.value
    for t, b, end in each(given):
        expected = sum((DISCOUNT * DECAY) ** (k - t) * error[k, b] for k in range(t, end + 1))
        torch.testing.assert_close(found[t, b], expected)


@given(trajectories)
def test_returns_are_sums_of_rewards(given: Trajectory) -> None:
    found = discounted(given.reward, given.next_value, given.ended, DISCOUNT)
    for t, b, end in each(given):
        rewards = sum(DISCOUNT ** (k - t) * given.reward[k, b] for k in range(t, end + 1))
        torch.testing.assert_close(found[t, b], rewards + DISCOUNT ** (end + 1 - t) * given.next_value[end, b])
    torch.testing.assert_close(found - given.value, gae(*given, DISCOUNT, 1.0))


@given(trajectories, st.integers(1, 6))
def test_n_steps_are_sums_of_rewards(given: Trajectory, steps: int) -> None:
    total, last, over = n_step(given.reward, given.ended, steps, DISCOUNT)
    for t, b, end in each(given):
        stop = min(end, t + steps - 1)
        assert last[t, b] == stop
        assert over[t, b] == given.ended[stop, b]
        torch.testing.assert_close(
            total[t, b], sum(DISCOUNT ** (k - t) * given.reward[k, b] for k in range(t, stop + 1))
        )


@given(trajectories, st.integers(0, 1000), st.floats(0.5, 2), st.floats(0.1, 0.5))
def test_vtrace_is_its_sum(given: Trajectory, seed: int, cut: float, trace_cut: float) -> None:
    """Eq. 1 of the paper, with products written out."""
    log_ratio = torch.from_numpy(np.random.default_rng(seed).normal(size=given.reward.shape))
    found = vtrace(log_ratio, *given, DISCOUNT, DECAY, cut, trace_cut)
    weight = log_ratio.exp().clamp(max=cut)
    trace = DECAY * log_ratio.exp().clamp(max=trace_cut)
    error = weight * (given.reward + DISCOUNT * given.next_value - given.value)
    for t, b, end in each(given):
        expected = given.value[t, b] + sum(
            DISCOUNT ** (k - t) * trace[t:k, b].prod() * error[k, b] for k in range(t, end + 1)
        )
        torch.testing.assert_close(found.target[t, b], expected)
        last = t == end
        following = given.next_value[t, b] if last else found.target[t + 1, b]
        advantage = weight[t, b] * (given.reward[t, b] + DISCOUNT * following - given.value[t, b])
        torch.testing.assert_close(found.advantage[t, b], advantage)


@given(trajectories)
def test_vtrace_of_the_policy_itself(given: Trajectory) -> None:
    same = torch.zeros_like(given.reward)
    found = vtrace(same, *given, DISCOUNT, DECAY)
    torch.testing.assert_close(found.target, given.value + gae(*given, DISCOUNT, DECAY))
    whole = vtrace(same, *given, DISCOUNT)
    torch.testing.assert_close(whole.target, discounted(given.reward, given.next_value, given.ended, DISCOUNT))


@given(trajectories)
def test_vtrace_without_weight_leaves_the_values(given: Trajectory) -> None:
    found = vtrace(torch.zeros_like(given.reward), *given, DISCOUNT, cut=0.0, trace_cut=0.0)
    torch.testing.assert_close(found.target, given.value)
    assert not found.advantage.any()
