"""PaiNN: equivariant message passing with a vector beside every scalar feature.

Schuett, Unke, Gastegger, ICML 2021, arXiv:2102.03150. With scalars `s [N, F]`, vectors `v [N, 3, F]`, unit vectors
`u_ij` from atom i to its neighbour j, and filters `W(r) = envelope(r) (A basis(r) + b)`::

    (x_s, x_u, x_v)_ij = phi(s_j) * W(r_ij)                    message, eq. 7 and 8
    s_i += sum_j x_s          v_i += sum_j x_u u_ij + x_v v_j
    (a_s, a_d, a_v) = alpha(s_i, |V v_i|)                       update, eq. 9 and 10
    s_i += a_s + a_d <U v_i, V v_i>                 v_i += a_v U v_i

Vectors start at 0 and only scalars are read out, so the first layer has no `x_v` and the last no `a_v`: what could
not matter is neither computed nor a parameter.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from hydrasurr.models.force_field.geometry import Geometry
from hydrasurr.models.force_field.initial import initialise
from hydrasurr.strict import Strict

NORM_FLOOR = 1e-6
"""Added to the squared length of a vector (which may be 0) so that its root has derivatives."""


class PaiNNConfig(Strict):
    """Polarizable atom interaction neural network (arXiv:2102.03150)."""

    type: Literal["painn"] = "painn"

    def build(self, width: int, layers: int, basis: int) -> PaiNN:
        return PaiNN(width, layers, basis)


class PaiNN(nn.Module):
    """Scalars `[N, width]` and a Geometry with `basis` radial functions to scalars `[N, width]`."""

    def __init__(self, width: int, layers: int, basis: int) -> None:
        super().__init__()
        self.messages = nn.ModuleList(Message(width, basis, first=i == 0) for i in range(layers))
        self.updates = nn.ModuleList(Update(width, last=i == layers - 1) for i in range(layers))

    def forward(self, s: Tensor, geometry: Geometry) -> Tensor:
        envelope = geometry.envelope[:, None]
        # The last column carries the filter's bias, so that it too goes to 0 at the cutoff.
        radial = torch.cat([geometry.basis * envelope, envelope], 1)
        unit = geometry.vector / geometry.distance[:, None]
        v = None
        for message, update in zip(self.messages, self.updates, strict=True):
            s, v = message(s, v, radial, unit, geometry)
            s, v = update(s, v)
        return s


class Message(nn.Module):
    """One exchange between neighbours; see the module's equations."""

    def __init__(self, width: int, basis: int, first: bool) -> None:
        super().__init__()
        self.width, self.parts = width, 2 if first else 3
        self.phi = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, self.parts * width))
        self.filter = nn.Linear(basis + 1, self.parts * width, bias=False)
        initialise(self)
        nn.init.zeros_(self.filter.weight.data[:, -1])

    def forward(
        self, s: Tensor, v: Tensor | None, radial: Tensor, unit: Tensor, geometry: Geometry
    ) -> tuple[Tensor, Tensor]:
        x = geometry.of_source(self.phi(s)) * self.filter(radial)
        x_s, x_u, *x_v = x.split(self.width, 1)
        vectors = x_u[:, None, :] * unit[:, :, None]
        if v is None:
            return s + geometry.sum(x_s), geometry.sum(vectors)
        vectors = torch.addcmul(vectors, x_v[0][:, None, :], geometry.of_source(v))
        return s + geometry.sum(x_s), v + geometry.sum(vectors)


class Update(nn.Module):
    """Mixing of the scalars and vectors of each atom; see the module's equations."""

    def __init__(self, width: int, last: bool) -> None:
        super().__init__()
        self.width, self.parts = width, 2 if last else 3
        self.mix = nn.Linear(width, 2 * width, bias=False)
        self.alpha = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, self.parts * width))
        initialise(self)

    def forward(self, s: Tensor, v: Tensor) -> tuple[Tensor, Tensor | None]:
        first, second = linear(v, self.mix.weight).split(self.width, 2)
        length = (second.square().sum(1) + NORM_FLOOR).sqrt()
        a_s, a_d, *a_v = self.alpha(torch.cat([s, length], 1)).split(self.width, 1)
        s = s + torch.addcmul(a_s, a_d, (first * second).sum(1))
        return s, torch.addcmul(v, a_v[0][:, None, :], first) if a_v else None
