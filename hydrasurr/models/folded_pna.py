"""A trained PNA network with what depends on its weights alone multiplied beforehand.

Per layer (for symbols see `models.pna`)::

    W_e (V e + c) + b                                   a row for each combination of edge features
    N (L [M_d a + (P + S_d W_i) x + q] + l)             for each degree one matrix of a, x and 1, with the layer's last
                                                        product L and, in evaluation, its batch norm N

Widths are filled up with zeros to a multiple of 8, with which matrix products are up to twice as fast. Equal to the
network up to rounding; no gradients.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from hydrasurr.loading.batch import GraphBatch
from hydrasurr.models.aggregate import aggregate
from hydrasurr.models.edges import Edges
from hydrasurr.models.encoder import look_up
from hydrasurr.models.network import GraphNetwork, Prediction
from hydrasurr.models.pna import PNAConv
from hydrasurr.models.pooling import pool

LANES = 8
"""Widths are multiples of this; a norm over the features keeps its own width."""


@dataclass(frozen=True)
class FoldedLayer:
    """A PNAConv, and what comes after it. Matrices lie transposed: features are multiplied from the left.

    Attributes
    ----------
    pre : `[F, F]`, W_j
    edge : `[K, F]`, what each combination of edge features adds to a message
    post : `[degrees, A F + F + 1, F]`, what multiplies the statistics, the node itself, and 1
    single : `[F, F]`, what multiplies the only message of a node of degree 1, instead of its statistics
    after : the norm, if it could not be multiplied into `post`, and the activation
    """

    pre: Tensor
    edge: Tensor
    post: Tensor
    single: Tensor
    after: nn.Module


class FoldedPNA:
    """Predictions of a network, on its CPU; a snapshot of its weights.

    Parameters
    ----------
    network : as `applies` says

    Attributes
    ----------
    degrees : in-degrees it is prepared for, from 0: those of the training data
    width : F of its layers
    added : of these, the last ones that are zeros
    """

    @staticmethod
    def applies(network: GraphNetwork) -> bool:
        """Whether a network is of this kind: PNA layers that know their edges by a table of all combinations."""
        encoder = network.edge_encoder
        return (
            isinstance(network.convs[0], PNAConv)
            and getattr(encoder, "combinations", None) is not None
            and network.mean.device.type == "cpu"
        )

    @torch.no_grad()
    def __init__(self, network: GraphNetwork) -> None:
        self.network = network
        width, self.aggregators = network.convs[0].width, network.convs[0].aggregators
        self.added = 0 if isinstance(network.norms[0], nn.LayerNorm) else -width % LANES
        self.width = width + self.added
        self.degrees = len(network.degree_histogram)  # more would be a matrix a layer each for nothing
        features = network.edge_encoder.encoder(network.edge_encoder.combinations)
        convs = zip(network.convs, network.norms, strict=True)
        layers = [_fold(conv, norm, network.activation, features, self.degrees) for conv, norm in convs]
        self.layers = [_widened(layer, self.added) for layer in layers]

    def takes(self, batch: GraphBatch) -> bool:
        """Whether a batch has no node of a higher degree than the training data."""
        return len(batch.degree_counts) <= self.degrees

    @torch.inference_mode()
    def __call__(self, batch: GraphBatch) -> Prediction:
        h = pad(self.network.node_encoder(batch.x), (0, self.added))
        code = look_up(self.network.edge_encoder.parts, batch.edge_attr).sum(1)
        edges = Edges(batch, self.layers[0].edge, code)
        for layer in self.layers:
            update = layer.after(self._convolve(layer, h, edges))
            h = h + update if self.network.config.residual else update
        return self.read_out(h, batch)

    def read_out(self, h: Tensor, batch: GraphBatch) -> Prediction:
        """Predictions from the last features of nodes, `[N, F]`."""
        h = h[:, : self.width - self.added]
        graph, graph_log_variance = self.network.graph_heads(pool(h, batch, self.network.config.pooling))
        node, node_log_variance = self.network.node_heads(h)
        return Prediction(graph, node, graph_log_variance, node_log_variance)

    def _convolve(self, layer: FoldedLayer, h: Tensor, edges: Edges) -> Tensor:
        messages = edges.messages(h @ layer.pre, layer.edge)
        out = torch.empty_like(h)
        cuts = (len(self.aggregators) * self.width, -1)
        parts = [values.split([group.nodes for group in edges.groups]) for values in (h, out)]
        for group, x, into, m in zip(edges.groups, *parts, edges.neighbourhoods(messages), strict=True):
            statistics, itself, constant = layer.post[group.degree].tensor_split(cuts)
            torch.addmm(constant, x, itself, out=into)
            if group.degree == 1:
                into.addmm_(m[0], layer.single)
            elif group.degree > 1:
                into.addmm_(aggregate(m, self.aggregators), statistics)
        return out


def _fold(conv: PNAConv, norm: nn.Module, activation: nn.Module, features: Tensor, degrees: int) -> FoldedLayer:
    """A layer for degrees below `degrees`; `features` are the vectors `e` of the combinations of edge features."""
    pre, post = conv.pre_nns[0][0], conv.post_nns[0][0]
    w_centre, w_source, w_edge = pre.weight.split(conv.width, 1)
    p, q = post.weight.split([conv.width, post.in_features - conv.width], 1)
    degree = torch.arange(degrees)
    folded = conv.aggr_module(degree) @ q.unflatten(1, (len(conv.scalers), -1))
    folded = folded.transpose(0, 1).contiguous()  # M_d: [degrees, F, A F]
    folded[0] = 0
    moved = torch.zeros_like(folded[:, :, : conv.width])  # S_d: [degrees, F, F]
    for name, block in zip(conv.aggregators, folded.split(conv.width, 2), strict=True):
        if name in ("mean", "min", "max"):
            moved += block
        elif name == "sum":
            moved += block * degree[:, None, None]
    constant = post.bias[:, None].expand(degrees, -1, -1)
    matrix = conv.lin.weight @ torch.cat([folded, moved, p + moved @ w_centre, constant], 2)
    matrix[:, :, -1] += conv.lin.bias
    after = nn.Sequential(norm, activation)
    if isinstance(norm, nn.BatchNorm1d):
        matrix[:, :, -1] -= norm.running_mean
        matrix *= (norm.weight / (norm.running_var + norm.eps).sqrt())[:, None]
        matrix[:, :, -1] += norm.bias
        after = activation
    statistics, only, rest = matrix.transpose(1, 2).split([folded.shape[2], conv.width, conv.width + 1], 1)
    return FoldedLayer(
        w_source.t().contiguous(),
        linear(conv.edge_encoder(features), w_edge, pre.bias),
        torch.cat([statistics, rest], 1),
        only[min(1, degrees - 1)].contiguous(),
        after,
    )


def _widened(layer: FoldedLayer, added: int) -> FoldedLayer:
    """The layer with `added` features more, which are zeros."""
    width = len(layer.pre)
    statistics, itself, constant = layer.post.split([layer.post.shape[1] - width - 1, width, 1], 1)
    blocks = [pad(block, (0, added, 0, added)) for block in (*statistics.split(width, 1), itself)]
    return FoldedLayer(
        pad(layer.pre, (0, added, 0, added)),
        pad(layer.edge, (0, added)),
        torch.cat([*blocks, pad(constant, (0, added))], 1),
        pad(layer.single, (0, added, 0, added)),
        layer.after,
    )
