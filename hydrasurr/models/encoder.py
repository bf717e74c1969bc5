"""Categorical codes -> vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from hydrasurr.loading.batch import GraphBatch
from hydrasurr.models.edges import Edges

MAX_TABLE = 1024
"""Largest number of combinations of edge features that are kept as a table."""


class CategoricalEncoder(nn.Module):
    """The sum over features of a learned vector for the feature's value.

    Parameters
    ----------
    sizes : number of values of each feature
    width : length of the vectors
    """

    def __init__(self, sizes: Sequence[int], width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(sum(sizes), width) / math.sqrt(max(len(sizes), 1)))
        starts = torch.tensor([0, *sizes[:-1]]).cumsum(0)
        self.register_buffer("starts", starts, persistent=False)

    def forward(self, codes: Tensor) -> Tensor:
        """uint8 `[n, features]` -> `[n, width]`."""
        hot = torch.zeros(len(codes), len(self.weight), dtype=self.weight.dtype, device=codes.device)
        hot.scatter_(1, codes.long() + self.starts, 1)
        return hot @ self.weight


NodeEncoder = CategoricalEncoder


class EdgeEncoder(nn.Module):
    """Edge features as a table of all their combinations and a code for each edge."""

    def __init__(self, sizes: Sequence[int], width: int):
        super().__init__()
        self.encoder = CategoricalEncoder(sizes, width)
        strides = torch.tensor([math.prod(sizes[i + 1 :]) for i in range(len(sizes))])
        self.register_buffer("strides", strides, persistent=False)
        combinations = torch.cartesian_prod(*map(torch.arange, sizes)).view(-1, len(sizes)).to(torch.uint8)
        self.register_buffer("combinations", combinations, persistent=False)

    def forward(self, batch: GraphBatch) -> Edges:
        return Edges(batch, self.encoder(self.combinations), batch.edge_attr.long() @ self.strides)

    @staticmethod
    def none(batch: GraphBatch) -> Edges:
        return Edges(batch)
