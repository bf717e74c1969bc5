"""The exponential moving average of a network's weights."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


class EMA:
    """A copy of a network that follows it: `average += (1 - decay) (weights - average)` after each step.

    The decay rises from 0.1 to its value over the first steps, so the initial weights are soon forgotten.
    Unlike torch's AveragedModel it counts steps on the host, which costs no synchronisation on CUDA.
    """

    def __init__(self, network: nn.Module, decay: float):
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.decay, self.steps = decay, 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        rate = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        averages, weights = self.network.state_dict(), network.state_dict()
        floating = [name for name, value in averages.items() if value.is_floating_point()]
        torch._foreach_lerp_([averages[n] for n in floating], [weights[n] for n in floating], rate)
        for name in averages.keys() - set(floating):
            averages[name].copy_(weights[name])

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.steps = state["steps"]
