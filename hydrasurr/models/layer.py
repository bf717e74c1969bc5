"""What a message passing layer is, and the wrapper around those of PyG.

PyG is imported when a layer needs it: that takes longer than importing torch.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from hydrasurr.models.edges import Edges
from hydrasurr.strict import Strict


class LayerConfig(Strict):
    """Base of the `conv` sections: the options of one kind of layer, and how to make one.

    A subclass has a key `type`, a Literal with the name of the layer.
    """

    takes_edge_features: ClassVar[bool] = True

    def build(self, width: int, degree_histogram: Tensor, edge_dim: int | None) -> nn.Module:
        """A module called as `layer(h, edges)`, float `[N, width]` and Edges to `[N, width]`.

        `degree_histogram` is int64 `[largest degree + 1]` of the training nodes. `edge_dim` is the width of the edge
        features, None if there are none or the layer does not take them.
        """
        raise NotImplementedError


class PyGLayer(nn.Module):
    """A convolution of PyG, given edge features if `takes_edge_features`."""

    def __init__(self, conv: nn.Module, takes_edge_features: bool) -> None:
        super().__init__()
        self.conv = conv
        self.takes_edge_features = takes_edge_features

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        features = (edges.features,) if self.takes_edge_features else ()
        return self.conv(h, edges.index, *features)
