"""Returns and advantages of trajectories of `T` steps of `B` molecules.

Throughout: `reward` `[T, B]`; `value` `[T, B]`, of the states before the steps; `next_value` `[T, B]`, of the states
after them, and 0 where the agent stopped; `ended` bool `[T, B]`, where an episode ended with that step, by stopping or
by being cut off: nothing that comes later belongs to it. So a cut episode still counts what its last state is worth.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


def gae(reward: Tensor, value: Tensor, next_value: Tensor, ended: Tensor, discount: float, decay: float) -> Tensor:
    """`[T, B]`: generalised advantage estimates, `A_t = d_t + discount decay A_(t+1)`.

    `d_t = r_t + discount V(s_(t+1)) - V(s_t)`. J. Schulman et al., arXiv:1506.02438, Eq. 16. With decay 0 it looks one
    step ahead, with decay 1 at the whole return.
    """
    error = reward + discount * next_value - value
    factor = discount * decay * (~ended).to(value.dtype)
    return _accumulate(error, factor)


def discounted(reward: Tensor, next_value: Tensor, ended: Tensor, discount: float) -> Tensor:
    """`[T, B]`: returns up to the end of an episode, or of the trajectory, with the value of the state there."""
    going = (~ended).to(next_value.dtype)
    last = torch.zeros_like(ended)
    last[-1] = True
    bootstrap = torch.where(ended | last, next_value, 0)
    going = torch.where(last, 0, going)
    return _accumulate(reward + discount * bootstrap, discount * going)


class VTrace(NamedTuple):
    """Attributes
    ----------
    target : `[T, B]`, what the values are to become
    advantage : `[T, B]`, by which the gradient of the policy is weighed, cut importance weight included
    """

    target: Tensor
    advantage: Tensor


def vtrace(
    log_ratio: Tensor,
    reward: Tensor,
    value: Tensor,
    next_value: Tensor,
    ended: Tensor,
    discount: float,
    decay: float = 1.0,
    cut: float = 1.0,
    trace_cut: float = 1.0,
) -> VTrace:
    """Off-policy corrected targets and advantages of IMPALA. L. Espeholt et al., arXiv:1802.01561, section 4.1.

    Parameters
    ----------
    log_ratio : `[T, B]`, log of how much likelier the present policy takes the step than the one that took it
    decay : lambda, of the traces
    cut, trace_cut : largest importance weight of a step (rho) and of a trace (c); `cut >= trace_cut`

    With equal policies the targets are lambda-returns; with `cut` to 0 the values themselves.
    """
    ratio = log_ratio.exp()
    weight = ratio.clamp(max=cut)
    trace = decay * ratio.clamp(max=trace_cut)
    going = (~ended).to(value.dtype)
    error = weight * (reward + discount * next_value - value)
    correction = _accumulate(error, discount * trace * going)
    target = value + correction
    # The target of the state after a step: the next one in the trajectory, or its value where there is none.
    following = next_value.clone()
    following[:-1] = torch.where(ended[:-1], next_value[:-1], target[1:])
    return VTrace(target, weight * (reward + discount * following - value))


def n_step(reward: Tensor, ended: Tensor, steps: int, discount: float) -> tuple[Tensor, Tensor, Tensor]:
    """Sums of up to `steps` rewards, of which an episode's end leaves fewer.

    Returns `[T, B]` each: the discounted sum; int64, the time of the last step in it; bool, whether an episode ended
    with that. A state's value is then `sum + discount^(last - t + 1) V(s_(last + 1))`.
    """
    total, alive = torch.zeros_like(reward), torch.ones_like(ended)
    time = torch.arange(len(reward), device=reward.device)[:, None].expand(reward.shape)
    last = time.clone()
    for k in range(steps):
        inside = alive[: len(reward) - k]
        total[: len(reward) - k] += torch.where(inside, discount**k * reward[k:], 0)
        last[: len(reward) - k] = torch.where(inside, time[: len(reward) - k] + k, last[: len(reward) - k])
        alive[: len(reward) - k] &= ~ended[k:]
        if k + 1 >= len(reward):
            break
    return total, last, ended.gather(0, last)


def _accumulate(term: Tensor, factor: Tensor) -> Tensor:
    """`[T, B]`: `x_t = term_t + factor_t x_(t+1)`, backwards from nothing."""
    result = torch.empty_like(term)
    following = torch.zeros_like(term[0])
    for t in range(len(term) - 1, -1, -1):
        following = term[t] + factor[t] * following
        result[t] = following
    return result
