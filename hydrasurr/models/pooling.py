"""From nodes to graphs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hydrasurr.loading.batch import GraphBatch
from hydrasurr.models.incidence import Incidence

_REDUCE = {"mean": lambda h: h.mean(0), "add": lambda h: h.sum(0), "max": lambda h: h.amax(0)}
"""For a single graph."""


def pool(h: Tensor, batch: GraphBatch, kinds: Sequence[str]) -> Tensor:
    """Features of each graph's nodes, `[N, F]`, reduced by each of `kinds`, side by side: `[G, len(kinds) F]`.

    `kinds` are "mean", "add" and "max". A graph without nodes gets zeros.
    """
    if batch.num_graphs == 1 and len(h):
        return torch.cat([_REDUCE[kind](h) for kind in kinds])[None]
    index = batch.graph_index
    nodes = Incidence(index[:, None], batch.num_graphs)
    pooled = []
    for kind in kinds:
        if kind == "max":
            lowest = h.new_zeros(batch.num_graphs, h.shape[1])
            pooled.append(lowest.scatter_reduce(0, index[:, None].expand_as(h), h, "amax", include_self=False))
        else:
            total = nodes.scatter(h)
            pooled.append(total / _counts(batch)[:, None] if kind == "mean" else total)
    return torch.cat(pooled, 1)


def _counts(batch: GraphBatch) -> Tensor:
    """int64 `[G]`: nodes of each graph, at least 1."""
    counts = batch.graph_index.new_zeros(batch.num_graphs)
    return counts.index_add_(0, batch.graph_index, torch.ones_like(batch.graph_index)).clamp_(min=1)
