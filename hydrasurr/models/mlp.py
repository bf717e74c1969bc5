"""Activations and multilayer perceptrons."""

from __future__ import annotations

from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
}


def mlp(inputs: int, width: int, layers: int, activation: str) -> nn.Sequential:
    """`layers` times a linear layer to `width` and the activation; the identity if `layers` is 0."""
    widths = [inputs] + [width] * layers
    parts: list[nn.Module] = []
    for i in range(layers):
        parts += [nn.Linear(widths[i], widths[i + 1]), ACTIVATIONS[activation]()]
    return nn.Sequential(*parts)
