"""A training batch: a small GraphTable as tensors, laid out for message passing."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from hydrasurr.graphs.table import GraphTable


@dataclass(frozen=True)
class GraphBatch:
    """`G` graphs with `N` nodes and `E` directed edges, disjoint in one big graph.

    Nodes are sorted by in-degree (stable), edges by destination, then source. So the edges into all nodes of
    one degree `d` are one slice that reshapes to `[nodes, d, ...]`: neighbourhood reductions need no scatter.
    The same graphs give the same batch whatever the order of their edges in the table, unless two edges have
    the same ends.

    Attributes
    ----------
    x : uint8 `[N, node features]`
    edge_index : int64 `[2, E]`, sources and destinations, every edge in both directions
    edge_attr : uint8 `[E, edge features]`
    graph_index : int64 `[N]`, the graph of each node
    node_order : int64 `[N]`, where each node stood in the table
    degree_counts : `degree_counts[d]` nodes have in-degree `d`
    num_graphs : G
    y : float64 `[G, graph targets]` or None, in physical units, NaN where missing
    node_y : float64 `[N, node targets]` or None, in the order of `x`
    """

    x: Tensor
    edge_index: Tensor
    edge_attr: Tensor
    graph_index: Tensor
    node_order: Tensor
    degree_counts: tuple[int, ...]
    num_graphs: int
    y: Tensor | None = None
    node_y: Tensor | None = None

    @classmethod
    def from_table(cls, table: GraphTable) -> GraphBatch:
        """Build the batch on the CPU. It shares no memory with the table."""
        node_counts = table.counts("node")
        base = np.repeat(table.node_offset[:-1], table.counts("edge"))
        source, destination = table.edge_index + base
        edge_attr = table.edge_attr
        if not table.directed:
            source, destination = np.concatenate([source, destination]), np.concatenate([destination, source])
            edge_attr = np.concatenate([edge_attr, edge_attr])

        degrees = np.bincount(destination, minlength=table.num_nodes)
        degree_counts = np.bincount(degrees)
        node_order = np.argsort(degrees.astype(np.uint16), kind="stable")
        position = np.empty_like(node_order)
        position[node_order] = np.arange(len(node_order))
        source, destination = position[source], position[destination]
        edge_order = np.argsort(destination * len(node_order) + source)

        graph_index = np.repeat(np.arange(len(table)), node_counts)
        y, node_y = table.columns.get("y"), table.columns.get("node_y")
        return cls(
            x=torch.from_numpy(table.x[node_order]),
            edge_index=torch.from_numpy(np.stack([source[edge_order], destination[edge_order]])),
            edge_attr=torch.from_numpy(edge_attr[edge_order]),
            graph_index=torch.from_numpy(graph_index[node_order]),
            node_order=torch.from_numpy(node_order),
            degree_counts=tuple(degree_counts.tolist()),
            num_graphs=len(table),
            y=None if y is None else torch.from_numpy(np.array(y)),
            node_y=None if node_y is None else torch.from_numpy(node_y[node_order]),
        )

    @property
    def num_nodes(self) -> int:
        return len(self.x)

    @property
    def num_edges(self) -> int:
        return self.edge_index.shape[1]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> GraphBatch:
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> GraphBatch:
        return self._map(Tensor.pin_memory)

    def _map(self, function) -> GraphBatch:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{k: function(v) for k, v in values.items() if isinstance(v, Tensor)})

    def in_table_order(self, node_values: Tensor) -> Tensor:
        """Node values `[N, ...]` of this batch, put back into the order of the table."""
        restored = torch.empty_like(node_values)
        restored[self.node_order] = node_values
        return restored
