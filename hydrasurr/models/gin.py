"""Graph isomorphism network."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

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
        return PyGLayer(GINEConv(mlp, train_eps=self.train_eps, edge_dim=edge_dim), True)
