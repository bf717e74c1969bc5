"""Radial bases and smooth cutoffs: how a distance enters a force field."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from hydrasurr.strict import Strict


class BesselConfig(Strict):
    """Spherical Bessel functions `sqrt(2/c) sin(n pi r / c) / r` (DimeNet, arXiv:2003.03123, eq. 7)."""

    type: Literal["bessel"] = "bessel"
    count: int = Field(20, gt=0)
    """Functions, n = 1 to `count`."""

    def build(self, cutoff: float) -> nn.Module:
        return Bessel(self.count, cutoff)


class GaussianConfig(Strict):
    """Gaussians at equal steps from 0 to the cutoff, as wide as their step (SchNet, arXiv:1706.08566)."""

    type: Literal["gaussian"] = "gaussian"
    count: int = Field(50, gt=1)
    """Gaussians."""

    def build(self, cutoff: float) -> nn.Module:
        return Gaussians(self.count, cutoff)


class Bessel(nn.Module):
    """See BesselConfig. Distances `[E]` (not 0) to `[E, count]`."""

    def __init__(self, count: int, cutoff: float) -> None:
        super().__init__()
        self.cutoff, self.amplitude = cutoff, math.sqrt(2 / cutoff)
        self.register_buffer("order", torch.arange(1.0, count + 1), persistent=False)

    def forward(self, distance: Tensor) -> Tensor:
        distance = distance[:, None]
        return torch.sin(distance * (math.pi / self.cutoff) * self.order) * (self.amplitude / distance)


class Gaussians(nn.Module):
    """See GaussianConfig. Distances `[E]` to `[E, count]`."""

    def __init__(self, count: int, cutoff: float) -> None:
        super().__init__()
        self.per_step = (count - 1) / cutoff
        self.register_buffer("order", torch.arange(float(count)), persistent=False)

    def forward(self, distance: Tensor) -> Tensor:
        return torch.exp(-0.5 * (distance[:, None] * self.per_step - self.order).square())


class CosineCutoff(nn.Module):
    """`(1 + cos(pi r / c)) / 2` (Behler and Parrinello, Phys. Rev. Lett. 98, 146401): 0 with slope 0 at the cutoff."""

    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff

    def forward(self, distance: Tensor) -> Tensor:
        inside = distance.clamp(max=self.cutoff)
        return 0.5 * torch.cos(inside * (math.pi / self.cutoff)) + 0.5


class PolynomialCutoff(nn.Module):
    """`1 - 28 x^6 + 48 x^7 - 21 x^8` of `x = r / c`: 0 with slope and curvature 0 at the cutoff.

    DimeNet's envelope (arXiv:2003.03123, eq. 8) for p = 6.
    """

    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff

    def forward(self, distance: Tensor) -> Tensor:
        x = (distance / self.cutoff).clamp(max=1)
        return 1 - x**6 * (28 + x * (21 * x - 48))


CUTOFFS: dict[str, type[nn.Module]] = {"cosine": CosineCutoff, "polynomial": PolynomialCutoff}
