"""Crystal graph convolution."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from hydrasurr.models.layer import LayerConfig, PyGLayer


class CGCNNConfig(LayerConfig):
    """Crystal graph convolution (doi:10.1103/PhysRevLett.120.145301). Adds its input to its output by itself."""

    type: Literal["CGCNN"]

    def build(self, width: int, degree_histogram: Tensor, edge_dim: int | None) -> PyGLayer:
        from torch_geometric.nn import CGConv

        return PyGLayer(CGConv(width, dim=edge_dim or 0), edge_dim is not None)
