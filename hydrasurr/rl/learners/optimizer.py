"""From a loss to new weights, the same for all learners."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from hydrasurr.strict import Strict


class OptimizerConfig(Strict):
    """Adam, and how large gradients may be."""

    learning_rate: float = Field(5e-4, gt=0)
    epsilon: float = Field(1e-5, gt=0)
    largest_norm: float = Field(0.5, gt=0)
    """A longer gradient is shortened to this norm."""


class Stepper:
    """Takes steps of the optimizer."""

    def __init__(self, config: OptimizerConfig, network: nn.Module):
        self.config, self.network = config, network
        self.optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate, eps=config.epsilon)

    def step(self, loss: Tensor) -> Tensor:
        """One step down a loss; returns the norm of its gradient."""
        self.optimizer.zero_grad()
        loss.backward()
        return self.apply()

    def apply(self, scale: float = 1.0) -> Tensor:
        """One step by the gradients that the weights have, `scale` times as long as usual; returns their norm."""
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.largest_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = scale * self.config.learning_rate
        self.optimizer.step()
        return norm
