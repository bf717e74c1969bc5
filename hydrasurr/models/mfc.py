"""Molecular fingerprint convolution."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from hydrasurr.models.edges import Edges
from hydrasurr.models.layer import LayerConfig, PyGLayer


class MFCConfig(LayerConfig):
    """Neural fingerprints: own weights for each degree (arXiv:1509.09292); takes no edge features."""

    takes_edge_features: ClassVar[bool] = False

    type: Literal["MFC"]
    max_degree: int | None = Field(None, gt=0)
    """Nodes of a higher degree share the weights of this one; null: the highest in the training data."""

    def build(self, width: int, degree_histogram: Tensor, edge_dim: int | None) -> MFCLayer:
        from torch_geometric.nn import MFConv

        max_degree = self.max_degree or int(degree_histogram.nonzero().max())
        return MFCLayer(MFConv(width, width, max_degree=max_degree), False)


class MFCLayer(PyGLayer):
    """Computes in the type of its weights: PyG's layer mixes types under autocast and fails."""

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        with torch.autocast(h.device.type, enabled=False):
            return super().forward(h.to(self.conv.lins_r[0].weight.dtype), edges)
