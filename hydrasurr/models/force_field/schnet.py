"""SchNet: convolutions with filters that are functions of the distance.

Schuett et al., NeurIPS 2017, arXiv:1706.08566; J. Chem. Phys. 148, 241722. With features `h [N, F]`::

    h_i += B ssp(C sum_j (A h_j) * W(r_ij) + c) + b       W(r) = envelope(r) MLP(basis(r))

The parameters are those of PyG's `SchNet`, in the same order; with Gaussians and the cosine cutoff so are the results.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import softplus

from hydrasurr.models.force_field.geometry import Geometry
from hydrasurr.models.force_field.initial import initialise
from hydrasurr.strict import Strict


class SchNetConfig(Strict):
    """Continuous-filter convolutions (arXiv:1706.08566)."""

    type: Literal["schnet"] = "schnet"
    filters: int | None = Field(None, gt=0)
    """Width of the convolutions; null: the width of the network."""

    def build(self, width: int, layers: int, basis: int) -> SchNet:
        return SchNet(width, layers, basis, self.filters or width)


class ShiftedSoftplus(nn.Module):
    """`log(1 + e^x) - log 2`."""

    def forward(self, x: Tensor) -> Tensor:
        return softplus(x) - math.log(2)


class SchNet(nn.Module):
    """Scalars `[N, width]` and a Geometry with `basis` radial functions to scalars `[N, width]`."""

    def __init__(self, width: int, layers: int, basis: int, filters: int) -> None:
        super().__init__()
        self.interactions = nn.ModuleList(Interaction(width, basis, filters) for _ in range(layers))

    def forward(self, h: Tensor, geometry: Geometry) -> Tensor:
        for interaction in self.interactions:
            h = h + interaction(h, geometry)
        return h


class Interaction(nn.Module):
    """What neighbours add to each atom's features; see the module's equation."""

    def __init__(self, width: int, basis: int, filters: int) -> None:
        super().__init__()
        self.filter = nn.Sequential(nn.Linear(basis, filters), ShiftedSoftplus(), nn.Linear(filters, filters))
        self.before = nn.Linear(width, filters, bias=False)
        self.after = nn.Sequential(nn.Linear(filters, width), ShiftedSoftplus(), nn.Linear(width, width))
        initialise(self)

    def forward(self, h: Tensor, geometry: Geometry) -> Tensor:
        filters = self.filter(geometry.basis) * geometry.envelope[:, None]
        return self.after(geometry.sum(geometry.of_source(self.before(h)) * filters))
