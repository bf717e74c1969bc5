"""From features of graphs and nodes to values of targets."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hydrasurr.models.config import ModelConfig
from hydrasurr.models.mlp import mlp

MAX_LOG_VARIANCE = 10.0
"""Bound of |log variance| in standardised units, so that a bad batch cannot ask for zero or infinite variance."""


class Heads(nn.Module):
    """A shared MLP, then a small MLP for each target.

    Parameters
    ----------
    config : shapes, and whether each target also gets a variance
    inputs : width of the features
    targets : number of targets, at least 1
    shared : whether there is a shared MLP
    """

    def __init__(self, config: ModelConfig, inputs: int, targets: int, shared: bool) -> None:
        super().__init__()
        head = config.head
        shared_layers, shared_width = head.shared_layers if shared else 0, head.shared_width or config.hidden
        self.shared = mlp(inputs, shared_width, shared_layers, config.activation)
        inputs = shared_width if shared_layers else inputs
        width = head.width or config.hidden
        outputs = 2 if config.uncertainty == "gaussian" else 1
        self.targets = nn.ModuleList(
            nn.Sequential(
                mlp(inputs, width, head.layers, config.activation),
                nn.Linear(width if head.layers else inputs, outputs),
            )
            for _ in range(targets)
        )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Values `[n, targets]` and log variances of the same shape, or None; in standardised units."""
        features = self.shared(features)
        outputs = torch.stack([target(features) for target in self.targets], 1)
        if outputs.shape[2] == 1:
            return outputs[..., 0], None
        return outputs[..., 0], MAX_LOG_VARIANCE * torch.tanh(outputs[..., 1] / MAX_LOG_VARIANCE)


class NoHeads(nn.Module):
    """Stands for the heads of a level without targets."""

    def forward(self, features: Tensor) -> tuple[None, None]:
        return None, None


def build_heads(config: ModelConfig, inputs: int, targets: Sequence[int], shared: bool) -> Heads | NoHeads:
    """The heads of the targets of one level."""
    return Heads(config, inputs, len(targets), shared) if targets else NoHeads()
