"""The edges of a batch as the layers see them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from hydrasurr.loading.batch import GraphBatch
from hydrasurr.models.incidence import Incidence


class DegreeGroup(NamedTuple):
    """The consecutive nodes of a batch that have the same in-degree."""

    degree: int
    nodes: int

    @property
    def messages(self) -> int:
        return self.degree * self.nodes


@dataclass(frozen=True)
class Edges:
    """The `E` directed edges of a batch, their features given as a small table.

    Categorical edge features have few combinations (168 for molecules), so a layer can transform the `K` rows of
    `table` instead of `E` edges and look up each edge's row only then.

    Attributes
    ----------
    batch : the batch: nodes sorted by in-degree, edges by destination
    table : float `[K, F]`, or None if edges carry no features
    code : int64 `[E]`, the row of `table` with the features of each edge; None if `table` is
    """

    batch: GraphBatch
    table: Tensor | None = None
    code: Tensor | None = None

    @property
    def index(self) -> Tensor:
        """int64 `[2, E]`: sources and destinations."""
        return self.batch.edge_index

    @cached_property
    def features(self) -> Tensor | None:
        """float `[E, F]`: the features of each edge, or None."""
        return None if self.table is None else self.table.index_select(0, self.code)

    @cached_property
    def groups(self) -> tuple[DegreeGroup, ...]:
        """The degrees present, ascending. Together the groups cover all nodes and all edges in order."""
        counts = enumerate(self.batch.degree_counts)
        return tuple(DegreeGroup(degree, nodes) for degree, nodes in counts if nodes)

    @cached_property
    def degrees(self) -> Tensor:
        """int64 `[number of groups]`: the degree of each group."""
        every = torch.arange(len(self.batch.degree_counts), device=self.index.device)  # no copy that a GPU waits for
        return torch.cat([every[:0], *(every[group.degree, None] for group in self.groups)])

    @cached_property
    def _incidence(self) -> Incidence:
        """Source node and table row of each message.

        Messages are ordered by degree group, then by slot (first, second, ... incoming edge), then by node: each
        group is a contiguous `[degree, nodes]` block, and reducing over a leading axis is several times faster
        than over a short inner one.
        """
        every = torch.arange(self.batch.num_edges, device=self.index.device)
        blocks = every.split([group.messages for group in self.groups])
        order = torch.cat(
            [block.view(g.nodes, g.degree).t().flatten() for g, block in zip(self.groups, blocks, strict=True)]
        )
        num_nodes = self.batch.num_nodes
        if self.table is None:
            return Incidence(self.index[0][order, None], num_nodes)
        choice = torch.stack([self.index[0], self.code + num_nodes], 1)
        return Incidence(choice[order], num_nodes + len(self.table))

    def messages(self, nodes: Tensor, table: Tensor | None) -> Tensor:
        """`nodes[source] + table[code]` for each edge: `[E, F]`, in the order that `neighbourhoods` cuts.

        `nodes` is `[N, F]`; `table` is `[K, F]`, or None if these edges carry no features.
        """
        return self._incidence.gather(nodes if table is None else torch.cat([nodes, table]))

    def neighbourhoods(self, messages: Tensor) -> Iterator[Tensor]:
        """For each degree group, its messages as a dense `[degree, nodes, F]` view."""
        blocks = messages.split([group.messages for group in self.groups])
        for group, block in zip(self.groups, blocks, strict=True):
            yield block.view(group.degree, group.nodes, messages.shape[1])
