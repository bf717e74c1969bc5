"""Initial weights of force fields."""

from __future__ import annotations

from torch import nn


def initialise(module: nn.Module) -> None:
    """Glorot-uniform weights and zero biases in all linear layers, as SchNet and PaiNN were trained from."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
