"""A trained PNA network for a handful of graphs on a CPU, where the number of operations is what costs time.

`PNAConv` computes the statistics of each degree apart; for one molecule that is some dozen small operations a degree,
each of microseconds whatever its size. Here they are computed for all nodes at once, by NumPy, whose operations start
several times faster than torch's, and everything that depends on the weights alone was done beforehand (for symbols
see `models.pna`)::

    W_e (V e + c) + b               a table, for all layers side by side
    a_i                             reductions over slots: slot s holds the s-th message of each node; nodes with fewer
                                    messages repeat their last one, with weight 0 in sums
    N (L [M_d a + (P + S_d W_i) x + q] + l)     for each degree one matrix, multiplied by L and, in evaluation, by the
                                    batch norm N

Equal to the network up to rounding; no gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from hydrasurr.loading.batch import GraphBatch
from hydrasurr.models.aggregate import MIN_VARIANCE
from hydrasurr.models.network import GraphNetwork, Prediction
from hydrasurr.models.pna import PNAConv
from hydrasurr.models.pooling import pool

MAX_NODES = 400
"""Batches with more nodes are faster through the network itself."""
SINGLE_THREAD = 2**18
"""Multiplications up to which NumPy's BLAS (OpenBLAS) starts no threads of its own."""


@dataclass(frozen=True)
class _Layer:
    """A PNAConv, and what comes after it. Matrices lie transposed."""

    pre: np.ndarray
    """`[F, F]`: W_j."""
    post: np.ndarray
    """`[degrees, A F + F + 1, F]`: what multiplies the statistics, the node itself, and 1."""
    after: Callable[[np.ndarray], np.ndarray]
    """The norm, if it could not be multiplied into the post-layer, and the activation."""


class SmallBatchPNA:
    """Predictions of a network for small batches; a snapshot of its weights.

    Parameters
    ----------
    network : as `applies` says
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
        self._network = network
        first = network.convs[0]
        self._width, self._aggregators = first.width, first.aggregators
        degrees = torch.arange(len(network.degree_histogram))  # more would be a matrix a layer each for nothing
        self._degrees = len(degrees)
        convs = zip(network.convs, network.norms, strict=True)
        self._layers = [_layer(conv, norm, network.activation, degrees) for conv, norm in convs]
        features = network.edge_encoder.encoder(network.edge_encoder.combinations)
        self._edge_table = torch.stack([_edge_rows(conv, features) for conv in network.convs]).numpy()
        self._edge_parts = network.edge_encoder.parts.numpy()
        self._node_table, self._node_rows = network.node_encoder.weight.numpy(), network.node_encoder.rows.numpy()

    def takes(self, batch: GraphBatch) -> bool:
        """Whether a batch is small enough, and has no node of a higher degree than the training data."""
        return batch.num_nodes <= MAX_NODES and len(batch.degree_counts) <= self._degrees

    @torch.inference_mode()
    def __call__(self, batch: GraphBatch) -> Prediction:
        network, width = self._network, self._width
        # `take` raises on the row beyond the table that codes outside the schema stand for.
        h = np.add.reduce(np.take(self._node_table, _look_up(self._node_rows, batch.x), 0), 1)
        slots = _Slots(batch, h.dtype)
        code = np.add.reduce(_look_up(self._edge_parts, batch.edge_attr), 1)
        edges = np.take(self._edge_table, slots.of(code), 1)
        source = slots.of(batch.edge_index[0].numpy())
        rows = np.ones((len(h), (len(self._aggregators) + 1) * width + 1), h.dtype)
        parts = [rows[:, place : place + width] for place in range(0, rows.shape[1] - 1, width)]
        for layer, edge in zip(self._layers, edges, strict=True):
            messages = np.take(_product(h, layer.pre, np.empty_like(h)), source, 0)
            messages += edge
            self._aggregate(messages, slots, parts)
            parts[-1][:] = h
            update = np.empty_like(h)
            for degree, group in slots.groups:
                _product(rows[group], layer.post[degree], update[group])
            update = layer.after(update)
            h = h + update if network.config.residual else update
        values = torch.from_numpy(h)
        graph, graph_log_variance = network.graph_heads(pool(values, batch, network.config.pooling))
        node, node_log_variance = network.node_heads(values)
        return Prediction(graph, node, graph_log_variance, node_log_variance)

    def _aggregate(self, messages: np.ndarray, slots: _Slots, out: list[np.ndarray]) -> None:
        """Put each statistic of messages `[D, N, F]` into its `[N, F]` of `out`; for single atoms anything finite."""
        mean = np.add.reduce(messages * slots.weight, 0)
        variance = None
        if "std" in self._aggregators or "var" in self._aggregators:
            centred = messages - mean
            centred *= centred
            centred *= slots.weight
            variance = np.add.reduce(centred, 0)
        for name, part in zip(self._aggregators, out, strict=False):
            if name == "mean":
                part[:] = mean
            elif name == "sum":
                np.multiply(mean, slots.degree, out=part)
            elif name == "var":
                part[:] = variance
            elif name == "std":
                np.sqrt(np.where(variance > MIN_VARIANCE, variance, 0), out=part)
            else:
                (np.minimum if name == "min" else np.maximum).reduce(messages, 0, out=part)


class _Slots:
    """Where the messages of each node are: `D` slots of `N` nodes, D the largest degree, at least 1.

    Attributes
    ----------
    weight : `[D, N, 1]`, one over the degree; 0 where a slot repeats a message, or there is none
    degree : int64 `[N, 1]`
    groups : each degree present and the slice of nodes that have it
    """

    def __init__(self, batch: GraphBatch, dtype: np.dtype) -> None:
        counts = batch.degree_counts
        degree = np.repeat(np.arange(len(counts)), counts)
        first = np.cumsum(degree) - degree
        slot = np.arange(max(len(counts) - 1, 1))[:, None]
        self._edge = np.maximum(first + np.minimum(slot, degree - 1), 0)
        self.weight = ((slot < degree) / np.maximum(degree, 1)).astype(dtype)[:, :, None]
        self.degree = degree[:, None]
        stops = np.cumsum(counts).tolist()
        self.groups = [(d, slice(stop - n, stop)) for d, (n, stop) in enumerate(zip(counts, stops, strict=True)) if n]

    def of(self, values: np.ndarray) -> np.ndarray:
        """`[D, N]`: the value (`[E]`) of the edge in each slot."""
        return values[self._edge] if len(values) else np.zeros_like(self._edge)


def _layer(conv: PNAConv, norm: nn.Module, activation: nn.Module, degrees: Tensor) -> _Layer:
    pre, post = conv.pre_nns[0][0], conv.post_nns[0][0]
    w_centre, w_source, *_ = pre.weight.split(conv.width, 1)
    p, q = post.weight.split([conv.width, post.in_features - conv.width], 1)
    folded = conv.aggr_module(degrees) @ q.unflatten(1, (len(conv.scalers), -1))
    folded = folded.transpose(0, 1).contiguous()  # M_d: [degrees, F, A F]
    folded[0] = 0
    moved = torch.zeros_like(folded[:, :, : conv.width])  # S_d: [degrees, F, F]
    for name, block in zip(conv.aggregators, folded.split(conv.width, 2), strict=True):
        if name in ("mean", "min", "max"):
            moved += block
        elif name == "sum":
            moved += block * degrees[:, None, None]
    constant = post.bias[:, None].expand(len(degrees), -1, -1)
    matrix = conv.lin.weight @ torch.cat([folded, p + moved @ w_centre, constant], 2)
    matrix[:, :, -1] += conv.lin.bias
    after = nn.Sequential(norm, activation)
    if isinstance(norm, nn.BatchNorm1d):
        matrix[:, :, -1] -= norm.running_mean
        matrix *= (norm.weight / (norm.running_var + norm.eps).sqrt())[:, None]
        matrix[:, :, -1] += norm.bias
        after = activation
    pre, post = w_source.t().contiguous().numpy(), matrix.transpose(1, 2).contiguous().numpy()
    return _Layer(pre, post, _relu if isinstance(after, nn.ReLU) else _as_numpy(after))


def _product(first: np.ndarray, second: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The product of two matrices, in `out`, with as many threads as torch may use.

    NumPy starts sooner. For large ones it would use all cores, which is slow where other processes use them too.
    """
    if len(first) * second.size <= SINGLE_THREAD:
        return np.matmul(first, second, out=out)
    torch.mm(torch.from_numpy(first), torch.from_numpy(second), out=torch.from_numpy(out))
    return out


def _relu(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, 0, out=values)


def _as_numpy(module: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: module(torch.from_numpy(values)).numpy()


def _look_up(values: np.ndarray, codes: Tensor) -> np.ndarray:
    """`hydrasurr.models.encoder.look_up` in NumPy."""
    return values[np.arange(len(values)), codes.numpy()]


def _edge_rows(conv: PNAConv, features: Tensor) -> Tensor:
    """`W_e (V e + c) + b` of each combination of edge features, given their vectors `e`."""
    pre = conv.pre_nns[0][0]
    return linear(conv.edge_encoder(features), pre.weight[:, 2 * conv.width :], pre.bias)
