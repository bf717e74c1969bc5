"""A trained PNA network for a handful of graphs, where the number of operations is what costs time.

`PNAConv` groups nodes by degree: a quarter of the multiplications, but some dozen small operations a degree. For one
molecule each takes microseconds whatever its size, so here the plain form of the layer is computed, over all nodes
at once and with everything that depends on the weights alone done beforehand (for symbols see `models.pna`)::

    [W_j x + b, W_i x]           one matrix for both
    W_e (V e + c)                a table, for all layers side by side
    a_i                          segment reductions: edges come sorted by destination
    N (L (P x + Q s(d) a + q) + l)    one matrix [P, Q] multiplied by L and, in evaluation, by the batch norm N

Equal to the network up to rounding; no gradients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, linear, threshold

from hydrasurr.loading.batch import GraphBatch
from hydrasurr.models.aggregate import MIN_VARIANCE
from hydrasurr.models.encoder import look_up
from hydrasurr.models.network import GraphNetwork, Prediction
from hydrasurr.models.pna import PNAConv
from hydrasurr.models.pooling import pool

MAX_NODES = 400
"""Batches with more nodes are faster through the network itself."""
_MAX_DEGREE = 16


@dataclass(frozen=True)
class _Layer:
    """A PNAConv and the norm after it. Matrices lie transposed: few rows by such a matrix take a quarter of the time."""

    pre_weight: Tensor
    """`[F, 2 F]`: W_j beside W_i."""
    pre_bias: Tensor
    post_weight: Tensor
    """`[F + S A F, F]`"""
    post_bias: Tensor
    norm: nn.Module
    """What could not be multiplied into the post-layer."""


class SmallBatchPNA:
    """Predictions of a network for small batches; a snapshot of its weights and device.

    Parameters
    ----------
    network : as `applies` says
    """

    @staticmethod
    def applies(network: GraphNetwork) -> bool:
        """Whether a network is of this kind: PNA layers that know their edges by a table of all combinations."""
        encoder = network.edge_encoder
        return isinstance(network.convs[0], PNAConv) and getattr(encoder, "combinations", None) is not None

    @torch.no_grad()
    def __init__(self, network: GraphNetwork) -> None:
        self._network = network
        first = network.convs[0]
        self._width, self._aggregators = first.width, first.aggregators
        degrees = torch.arange(_MAX_DEGREE + 1, device=first.lin.weight.device)
        self._factors = first.aggr_module(degrees)
        self._layers = [_layer(conv, norm) for conv, norm in zip(network.convs, network.norms, strict=True)]
        features = network.edge_encoder.encoder(network.edge_encoder.combinations)
        self._edge_table = torch.cat([_edge_rows(conv, features) for conv in network.convs], 1)

    def takes(self, batch: GraphBatch) -> bool:
        """Whether a batch is small enough, and within what was prepared."""
        return batch.num_nodes <= MAX_NODES and len(batch.degree_counts) <= len(self._factors)

    @torch.inference_mode()
    def __call__(self, batch: GraphBatch) -> Prediction:
        network = self._network
        device = batch.x.device
        degree = np.repeat(np.arange(len(batch.degree_counts)), batch.degree_counts)
        degree = torch.from_numpy(degree).to(device)
        factors = self._factors.index_select(0, degree)[:, :, None]
        alone = (degree == 0)[:, None] if batch.degree_counts[0] else None
        code = look_up(network.edge_encoder.parts, batch.edge_attr).sum(1)
        edges = self._edge_table.index_select(0, code).split(self._width, 1)
        source, destination = batch.edge_index

        encoder = network.node_encoder
        h = embedding_bag(look_up(encoder.rows, batch.x), encoder.weight, mode="sum")
        for layer, edge in zip(self._layers, edges, strict=True):
            neighbour, centre = torch.addmm(layer.pre_bias, h, layer.pre_weight).chunk(2, 1)
            messages = neighbour.index_select(0, source).add_(edge)
            statistics = self._aggregate(messages, centre, degree, destination)
            if alone is not None:
                statistics.masked_fill_(alone, 0.0)
            inputs = torch.cat([h, (statistics[:, None] * factors).flatten(1)], 1)
            update = network.activation(layer.norm(torch.addmm(layer.post_bias, inputs, layer.post_weight)))
            h = h + update if network.config.residual else update
        graph, graph_log_variance = network.graph_heads(pool(h, batch, network.config.pooling))
        node, node_log_variance = network.node_heads(h)
        return Prediction(graph, node, graph_log_variance, node_log_variance)

    def _aggregate(self, messages: Tensor, centre: Tensor, degree: Tensor, destination: Tensor) -> Tensor:
        """`[N, A F]`; of nodes without neighbours anything."""

        def reduce(values: Tensor, how: str) -> Tensor:
            return torch.segment_reduce(values, how, lengths=degree, unsafe=True)

        mean, parts = reduce(messages, "mean"), []
        variance = None
        if "std" in self._aggregators or "var" in self._aggregators:
            variance = reduce((messages - mean.index_select(0, destination)).square_(), "mean")
        for name in self._aggregators:
            if name == "mean":
                parts.append(mean + centre)
            elif name == "sum":
                parts.append((mean + centre) * degree[:, None])
            elif name == "var":
                parts.append(variance)
            elif name == "std":
                parts.append(threshold(variance, MIN_VARIANCE, 0.0).sqrt_())
            else:
                parts.append(reduce(messages, name).add_(centre))
        return torch.cat(parts, 1)


def _layer(conv: PNAConv, norm: nn.Module) -> _Layer:
    pre, post = conv.pre_nns[0][0], conv.post_nns[0][0]
    w_centre, w_source, *_ = pre.weight.split(conv.width, 1)
    weight, bias = conv.lin.weight @ post.weight, linear(post.bias, conv.lin.weight, conv.lin.bias)
    if isinstance(norm, nn.BatchNorm1d):
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        weight, bias = weight * scale[:, None], (bias - norm.running_mean) * scale + norm.bias
        norm = nn.Identity()
    pre_bias = torch.cat([pre.bias, torch.zeros_like(pre.bias)])
    return _Layer(torch.cat([w_source, w_centre]).t().contiguous(), pre_bias, weight.t().contiguous(), bias, norm)


def _edge_rows(conv: PNAConv, features: Tensor) -> Tensor:
    """`W_e (V e + c)` of each combination of edge features, given their vectors `e`."""
    return linear(conv.edge_encoder(features), conv.pre_nns[0][0].weight[:, 2 * conv.width :])
