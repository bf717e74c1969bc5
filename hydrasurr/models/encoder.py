"""Categorical codes to vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hydrasurr.loading.batch import GraphBatch
from hydrasurr.models.edges import Edges
from hydrasurr.models.incidence import Incidence

MAX_TABLE = 1024
"""Most combinations of edge features that are kept as a table."""


def code_values(values: Sequence[Sequence[int]], invalid: int) -> Tensor:
    """int64 `[features, 256]`: `values[feature][code]`, and `invalid` for codes beyond the feature's values."""
    table = torch.full((len(values), 256), invalid)
    for row, known in zip(table, values, strict=True):
        row[: len(known)] = torch.tensor(known)
    return table


def look_up(values: Tensor, codes: Tensor) -> Tensor:
    """`values[feature, codes[:, feature]]`: `[features, 256]` and uint8 `[n, features]` to `[n, features]`."""
    first = torch.arange(0, values.numel(), values.shape[1], device=codes.device)
    return values.view(-1)[codes + first]


class CategoricalEncoder(nn.Module):
    """The sum over features of a learned vector for the feature's value.

    Raises on codes outside the schema (a row index out of range) instead of taking another feature's vector.

    Parameters
    ----------
    sizes : number of values of each feature, at least one feature
    width : length of the vectors
    """

    def __init__(self, sizes: Sequence[int], width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(sum(sizes), width) / math.sqrt(len(sizes)))
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        rows = [range(start, start + size) for start, size in zip(starts, sizes, strict=True)]
        self.register_buffer("rows", code_values(rows, invalid=sum(sizes)), persistent=False)

    def forward(self, codes: Tensor) -> Tensor:
        """uint8 `[n, features]` to `[n, width]`."""
        return Incidence(look_up(self.rows, codes), len(self.weight)).gather(self.weight)


class EdgeEncoder(nn.Module):
    """Edge features as a table of vectors and, for each edge, the row of its vector.

    The table holds all combinations of the features' values if there are few, else (and in batches with fewer
    edges than combinations) one row an edge.
    """

    def __init__(self, sizes: Sequence[int], width: int) -> None:
        super().__init__()
        self.encoder = CategoricalEncoder(sizes, width)
        self.combinations: Tensor | None
        self.register_buffer("combinations", None, persistent=False)
        self.num_combinations = math.prod(sizes)
        if self.num_combinations <= MAX_TABLE:
            grids = torch.meshgrid([torch.arange(size, dtype=torch.uint8) for size in sizes], indexing="ij")
            self.combinations = torch.stack([grid.reshape(-1) for grid in grids], 1)
            strides = [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]
            parts = [range(0, size * stride, stride) for size, stride in zip(sizes, strides, strict=True)]
            self.register_buffer("parts", code_values(parts, invalid=self.num_combinations), persistent=False)

    def forward(self, batch: GraphBatch) -> Edges:
        if self.combinations is None or batch.num_edges < self.num_combinations:
            every = torch.arange(batch.num_edges, device=batch.x.device)
            return Edges(batch, self.encoder(batch.edge_attr), every)
        return Edges(batch, self.encoder(self.combinations), look_up(self.parts, batch.edge_attr).sum(1))
