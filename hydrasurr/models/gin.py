"""Graph isomorphism network."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from hydrasurr.models.edges import Edges
from hydrasurr.models.layer import LayerConfig, PyGLayer


class GINConfig(LayerConfig):
    """Graph isomorphism network (arXiv:1810.00826); GINE (arXiv:1905.12265) where edges have features."""

    type: Literal["GIN"]
    train_eps: bool = True
    """Learn the weight of a node's own features."""

    def build(self, width: int, degree_histogram: Tensor, edge_dim: int | None) -> PyGLayer:
        from torch_geometric.nn import GINConv, GINEConv

        mlp = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        if edge_dim is None:
            return PyGLayer(GINConv(mlp, train_eps=self.train_eps), False)
        return GINELayer(GINEConv(mlp, train_eps=self.train_eps, edge_dim=edge_dim), True)


class GINELayer(PyGLayer):
    """What PyG's layer computes: edge features are multiplied as the table that they come from, not edge by edge, and
    messages are added up without scattering."""

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        conv = self.conv
        messages = edges.messages(h, linear(edges.table, conv.lin.weight, conv.lin.bias)).relu()
        total = torch.cat([block.sum(0) for block in edges.neighbourhoods(messages)])
        return conv.nn(total + (1 + conv.eps) * h)
