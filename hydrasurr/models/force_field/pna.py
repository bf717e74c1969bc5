"""PNA for force fields: several statistics of the neighbours' messages, all of them smooth.

Principal neighbourhood aggregation (Corso et al., NeurIPS 2020, arXiv:2004.05718) jumps when an atom passes the
cutoff, because degree, mean, minimum and maximum do, and forces of a minimum jump wherever another neighbour becomes
the smallest. Here each neighbour counts with the weight `w = envelope(r)`, beside one virtual neighbour of weight 1
whose message is 0, and extremes are soft::

    m_ij = silu(W_i h_i + W_j h_j + W_e basis(r_ij) + b)
    n = 1 + sum w          mean = sum(w m) / n          std = sqrt(sum(w m^2) / n - mean^2 + 0.01)
    max = log(1 + sum w e^m)                            min = -log(1 + sum w e^-m)
    h_i += L silu(P h_i + sum over scalers s of s(n_i) Q_s [mean, min, max, std]_i + q) + l
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, Field
from torch import Tensor, nn
from torch.nn.functional import silu

from hydrasurr.models.force_field.geometry import Geometry
from hydrasurr.models.force_field.initial import initialise
from hydrasurr.strict import Strict

VARIANCE_FLOOR = 1e-2
"""Added to variances, whose roots would otherwise rise vertically when an atom gets its first neighbour."""

Aggregator = Literal["mean", "min", "max", "std"]
Scaler = Literal["identity", "amplification", "attenuation"]


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError(f"names must differ, got {list(names)}")
    return names


class SmoothPNAConfig(Strict):
    """Principal neighbourhood aggregation (arXiv:2004.05718) with smooth statistics."""

    type: Literal["pna"] = "pna"
    aggregators: Annotated[tuple[Aggregator, ...], AfterValidator(_distinct)] = Field(
        ("mean", "min", "max", "std"), min_length=1
    )
    """Statistics of the messages an atom receives."""
    scalers: Annotated[tuple[Scaler, ...], AfterValidator(_distinct)] = Field(
        ("identity", "amplification", "attenuation"), min_length=1
    )
    """Functions of the (weighted) number of neighbours that multiply the statistics."""
    neighbours: float = Field(10, gt=0)
    """A typical number of neighbours, weighted by the envelope: where all scalers are 1."""

    def build(self, width: int, layers: int, basis: int) -> SmoothPNA:
        return SmoothPNA(width, layers, basis, self)


class SmoothPNA(nn.Module):
    """Scalars `[N, width]` and a Geometry with `basis` radial functions to scalars `[N, width]`."""

    def __init__(self, width: int, layers: int, basis: int, config: SmoothPNAConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(width, basis, config) for _ in range(layers))

    def forward(self, h: Tensor, geometry: Geometry) -> Tensor:
        for layer in self.layers:
            h = h + layer(h, geometry)
        return h


class Layer(nn.Module):
    """What neighbours add to each atom's features; see the module's equations."""

    def __init__(self, width: int, basis: int, config: SmoothPNAConfig) -> None:
        super().__init__()
        self.aggregators, self.scalers = config.aggregators, config.scalers
        self.usual = math.log(config.neighbours + 2)
        self.centre = nn.Linear(width, width)
        self.neighbour = nn.Linear(width, width, bias=False)
        self.edge = nn.Linear(basis, width, bias=False)
        self.itself = nn.Linear(width, width)
        self.statistics = nn.Linear(len(self.aggregators) * width, len(self.scalers) * width, bias=False)
        self.out = nn.Linear(width, width)
        initialise(self)

    def forward(self, h: Tensor, geometry: Geometry) -> Tensor:
        weight = geometry.envelope[:, None]
        edge = self.edge(geometry.basis)
        m = silu(geometry.of_destination(self.centre(h)) + geometry.of_source(self.neighbour(h)) + edge)
        count = 1 + geometry.sum(weight)
        statistics = [self._aggregate(name, m, weight, count, geometry) for name in self.aggregators]
        y = self.statistics(torch.cat(statistics, 1))
        scaled = (y.unflatten(1, (len(self.scalers), -1)) * self._scale(count)[:, :, None]).sum(1)
        return self.out(silu(self.itself(h) + scaled))

    def _scale(self, count: Tensor) -> Tensor:
        """Factors `[N, S]` of counts `[N, 1]`."""
        relative = torch.log(count + 1) / self.usual
        factors = {"identity": torch.ones_like(count), "amplification": relative, "attenuation": 1 / relative}
        return torch.cat([factors[name] for name in self.scalers], 1)

    @staticmethod
    def _aggregate(name: str, m: Tensor, weight: Tensor, count: Tensor, geometry: Geometry) -> Tensor:
        """One statistic `[N, F]` of messages `[E, F]`."""
        match name:
            case "mean":
                return geometry.sum(weight * m) / count
            case "std":
                mean = geometry.sum(weight * m) / count
                variance = geometry.sum(weight * m.square()) / count - mean.square()
                return (variance.clamp(min=0) + VARIANCE_FLOOR).sqrt()
            case "max":
                return soft_maximum(m, weight, geometry)
            case "min":
                return -soft_maximum(-m, weight, geometry)


def soft_maximum(m: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """`log(1 + sum w e^m)` `[N, F]` of messages `[E, F]` with weights `[E, 1]`, without overflow."""
    # Any shift gives the same result: the largest message is one with which no power is above 1.
    index = geometry.destination[:, None].expand_as(m)
    shift = m.new_zeros(geometry.num_atoms, m.shape[1]).scatter_reduce(0, index, m.detach(), "amax")
    powers = geometry.sum(weight * torch.exp(m - geometry.of_destination(shift)))
    return shift + torch.log(torch.exp(-shift) + powers)
