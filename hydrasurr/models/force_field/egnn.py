"""EGNN: messages from distances, and layers that move their own copy of the atoms.

Satorras, Hoogeboom, Welling, ICML 2021, arXiv:2102.09844, eq. 3-6, made local and smooth: everything that a neighbour
sends is multiplied by an envelope `w` of the true distance `r`. With `x` the moved positions, `d = |x_i - x_j|`::

    m_ij = MLP_e(h_i, h_j, d^2 / c^2, basis(r_ij))
    x_i += sum_j w_ij MLP_x(m_ij) (x_i - x_j) / (1 + d)        but in the last layer, where nothing would see it
    h_i += MLP_h(h_i, sum_j w_ij m_ij)
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from hydrasurr.models.force_field.geometry import Geometry
from hydrasurr.models.force_field.initial import initialise
from hydrasurr.strict import Strict

SQUARE_FLOOR = 1e-6
"""Added to squared distances of moved atoms (which may meet) so that their roots have derivatives; A^2."""
FIRST_MOVES = 1e-3
"""Gain of the initial weights that say how far atoms move: at first nearly not, as in the authors' code."""


class EGNNConfig(Strict):
    """E(n) equivariant graph neural network (arXiv:2102.09844)."""

    type: Literal["egnn"] = "egnn"
    move: bool = True
    """Let layers move their copy of the atoms; without it, only true distances count."""

    def build(self, width: int, layers: int, basis: int) -> EGNN:
        return EGNN(width, layers, basis, self.move)


class EGNN(nn.Module):
    """Scalars `[N, width]` and a Geometry with `basis` radial functions to scalars `[N, width]`."""

    def __init__(self, width: int, layers: int, basis: int, move: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(width, basis, move=move and i < layers - 1) for i in range(layers))

    def forward(self, h: Tensor, geometry: Geometry) -> Tensor:
        vector = geometry.vector
        for layer in self.layers:
            h, vector = layer(h, vector, geometry)
        return h


class Layer(nn.Module):
    """One exchange between neighbours; see the module's equations."""

    def __init__(self, width: int, basis: int, move: bool) -> None:
        super().__init__()
        # MLP_e's first layer in three parts: what is linear in an atom's features is computed once an atom.
        self.centre = nn.Linear(width, width)
        self.neighbour = nn.Linear(width, width, bias=False)
        self.edge = nn.Linear(basis + 1, width, bias=False)
        self.message = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.node = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))
        initialise(self)
        self.mover = None
        if move:
            self.mover = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1, bias=False))
            initialise(self.mover)
            nn.init.xavier_uniform_(self.mover[2].weight, gain=FIRST_MOVES)

    def forward(self, h: Tensor, vector: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor]:
        envelope = geometry.envelope[:, None]
        square = vector.square().sum(1, keepdim=True)
        edge = self.edge(torch.cat([geometry.basis, square / geometry.cutoff**2], 1))
        m = self.message(geometry.of_destination(self.centre(h)) + geometry.of_source(self.neighbour(h)) + edge)
        if self.mover is not None:
            step = envelope * self.mover(m) / (1 + (square + SQUARE_FLOOR).sqrt())
            moved = geometry.sum(-step * vector)  # a vector points from centre i to neighbour j: x_j - x_i
            vector = vector + geometry.of_source(moved) - geometry.of_destination(moved)
        return h + self.node(torch.cat([h, geometry.sum(envelope * m)], 1)), vector
