"""What a network says of steps that were taken."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hydrasurr.loading.batch import GraphBatch
from hydrasurr.rl.environment.actions import ActionSpace
from hydrasurr.rl.environment.molecules import Molecules
from hydrasurr.rl.environment.table import to_table
from hydrasurr.rl.policy.network import ActionNetwork
from hydrasurr.rl.policy.observation import Observation
from hydrasurr.rl.policy.unroll import Unroll

AT_ONCE = 512
"""Molecules computed together where no gradients are needed."""


class Taken(NamedTuple):
    """Of `n` states and the action taken in each, float `[n]`: the logarithm of its probability, the entropy of all
    actions, the value of the state."""

    log_probability: Tensor
    entropy: Tensor
    value: Tensor


def evaluate(network: ActionNetwork, space: ActionSpace, states: Molecules, action: np.ndarray) -> Taken:
    """With gradients, for actions `[n]` by their numbers."""
    legal = space.legal(states)
    device = next(network.parameters()).device
    choice = network(Observation.of(space, states, legal).to(device))
    place = torch.from_numpy(legal.place(action)).to(device)
    return Taken(choice.log_probability[place], choice.entropy, choice.value)


@torch.no_grad()
def values(network: ActionNetwork, space: ActionSpace, states: Molecules) -> Tensor:
    """float32 `[n]` on the CPU: what a network says molecules are worth."""
    device = next(network.parameters()).device
    parts = [states[slice(start, start + AT_ONCE)] for start in range(0, len(states), AT_ONCE)]
    found = [network.values(GraphBatch.from_table(to_table(part)).to(device)).float().cpu() for part in parts]
    return torch.cat([torch.empty(0), *found])


def values_after(network: ActionNetwork, space: ActionSpace, unroll: Unroll, value: Tensor) -> Tensor:
    """float32 `[T, B]`: values of the states after the steps, as `rl.maths.returns` takes them.

    `value` `[T, B]` are those of the states before the steps, from which they are taken where a next step follows.
    """
    following = torch.cat([value[1:], value[:1]])
    following = torch.where(torch.from_numpy(unroll.ended), 0, following)
    following.view(-1)[unroll.beyond_place] = values(network, space, unroll.beyond).to(following.dtype)
    return following
