"""A trained PNA network for a handful of graphs on a CPU, where the number of operations is what costs time.

With one group of operations a degree, one molecule takes some dozen small ones, each of microseconds whatever its size.
Here the statistics are computed for all nodes at once, by NumPy, whose operations start several times faster than
torch's: as reductions over slots, where slot s holds the s-th message of each node, and nodes with fewer messages
repeat their last one, with weight 0 in sums. What the weights alone decide was multiplied beforehand, as for any batch
(`models.folded_pna`).

Equal to the network up to rounding; no gradients.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from hydrasurr.loading.batch import GraphBatch
from hydrasurr.models.aggregate import MIN_VARIANCE
from hydrasurr.models.folded_pna import FoldedPNA
from hydrasurr.models.network import Prediction

MAX_NODES = 250
"""Batches with more nodes are faster by degrees."""
SINGLE_THREAD = 2**18
"""Multiplications up to which NumPy's BLAS (OpenBLAS) starts no threads of its own."""


class SmallBatchPNA:
    """Predictions of a network for small batches; a snapshot of its weights.

    Parameters
    ----------
    folded : the network, prepared
    """

    def __init__(self, folded: FoldedPNA) -> None:
        self._folded = folded
        self._width, self._aggregators = folded.width, folded.aggregators
        self._layers = [(one.pre.numpy(), one.post.numpy(), _in_numpy(one.after)) for one in folded.layers]
        self._edge_table = torch.stack([layer.edge for layer in folded.layers]).numpy()
        nodes, edges = folded.network.node_encoder, folded.network.edge_encoder
        self._node_table, self._node_rows = pad(nodes.weight.detach(), (0, folded.added)).numpy(), nodes.rows.numpy()
        self._edge_parts = edges.parts.numpy()

    def takes(self, batch: GraphBatch) -> bool:
        """Whether a batch is small enough, and one that the prepared network takes."""
        return batch.num_nodes <= MAX_NODES and self._folded.takes(batch)

    @torch.inference_mode()
    def __call__(self, batch: GraphBatch) -> Prediction:
        width = self._width
        # `take` raises on the row beyond the table that codes outside the schema stand for.
        h = np.add.reduce(np.take(self._node_table, _look_up(self._node_rows, batch.x), 0), 1)
        slots = _Slots(batch, h.dtype)
        code = np.add.reduce(_look_up(self._edge_parts, batch.edge_attr), 1)
        edges = np.take(self._edge_table, slots.of(code), 1)
        source = slots.of(batch.edge_index[0].numpy())
        rows = np.ones((len(h), (len(self._aggregators) + 1) * width + 1), h.dtype)
        parts = [rows[:, place : place + width] for place in range(0, rows.shape[1] - 1, width)]
        for (pre, post, after), edge in zip(self._layers, edges, strict=True):
            messages = np.take(_product(h, pre, np.empty_like(h)), source, 0)
            messages += edge
            self._aggregate(messages, slots, parts)
            parts[-1][:] = h
            update = np.empty_like(h)
            for degree, group in slots.groups:
                _product(rows[group], post[degree], update[group])
            update = after(update)
            h = h + update if self._folded.network.config.residual else update
        return self._folded.read_out(torch.from_numpy(h), batch)

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


def _product(first: np.ndarray, second: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The product of two matrices, in `out`, with as many threads as torch may use.

    NumPy starts sooner. For large ones it would use all cores, which is slow where other processes use them too.
    """
    if len(first) * second.size <= SINGLE_THREAD:
        return np.matmul(first, second, out=out)
    torch.mm(torch.from_numpy(first), torch.from_numpy(second), out=torch.from_numpy(out))
    return out


def _in_numpy(module: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    if isinstance(module, nn.ReLU):
        return lambda values: np.maximum(values, 0, out=values)
    return lambda values: module(torch.from_numpy(values)).numpy()


def _look_up(values: np.ndarray, codes: Tensor) -> np.ndarray:
    """`hydrasurr.models.encoder.look_up` in NumPy."""
    return values[np.arange(len(values)), codes.numpy()]
