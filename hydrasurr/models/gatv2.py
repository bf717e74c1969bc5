"""Graph attention, second version."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor

from hydrasurr.models.layer import LayerConfig, PyGLayer


class GATv2Config(LayerConfig):
    """Graph attention, second version (arXiv:2105.14491). A node also attends to itself."""

    type: Literal["GATv2"]
    heads: int = Field(4, gt=0)
    """Attention heads, each of the full width; their outputs are averaged."""

    def build(self, width: int, degree_histogram: Tensor, edge_dim: int | None) -> PyGLayer:
        from torch_geometric.nn import GATv2Conv

        conv = GATv2Conv(width, width, heads=self.heads, concat=False, edge_dim=edge_dim)
        return PyGLayer(conv, edge_dim is not None)
