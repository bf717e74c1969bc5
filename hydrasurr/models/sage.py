"""GraphSAGE."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from hydrasurr.models.layer import LayerConfig, PyGLayer


class GraphSAGEConfig(LayerConfig):
    """GraphSAGE (arXiv:1706.02216); takes no edge features."""

    takes_edge_features: ClassVar[bool] = False

    type: Literal["GraphSAGE"]
    aggregator: Literal["mean", "max", "sum"] = "mean"
    """How the neighbours' features become one vector."""

    def build(self, width: int, degree_histogram: Tensor, edge_dim: int | None) -> PyGLayer:
        from torch_geometric.nn import SAGEConv

        return PyGLayer(SAGEConv(width, width, aggr=self.aggregator), False)
