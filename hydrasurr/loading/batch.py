"""A training batch: a small GraphTable as tensors, laid out for message passing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hydrasurr.graphs.table import GraphTable, smallest_uint
from hydrasurr.loading.tensors import Tensors


@dataclass(frozen=True)
class GraphBatch(Tensors):
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
        ends = table.edge_index + table.node_offset[:-1].repeat(table.counts("edge"))
        degrees = np.bincount(ends[1] if table.directed else ends.ravel(), minlength=table.num_nodes)
        degree_counts = np.bincount(degrees)
        node_order = degrees.astype(smallest_uint(len(degree_counts))).argsort(kind="stable")  # a radix sort
        position = np.empty_like(node_order)
        position[node_order] = np.arange(len(node_order))
        edge_index, edge_order = sorted_edges(position.take(ends, mode="clip"), len(position), table.directed)
        graph_index = np.arange(len(table)).repeat(table.counts("node"))

        def take(values: np.ndarray, rows: np.ndarray) -> Tensor:
            # Short rows are copied far faster than by values[rows], and without a check of `rows`, which are good.
            return torch.from_numpy(values.take(rows, axis=0, mode="clip"))

        y, node_y = table.columns.get("y"), table.columns.get("node_y")
        return cls(
            x=take(table.x, node_order),
            edge_index=torch.from_numpy(edge_index),
            edge_attr=take(table.edge_attr, edge_order),
            graph_index=take(graph_index, node_order),
            node_order=torch.from_numpy(node_order),
            degree_counts=tuple(degree_counts.tolist()),
            num_graphs=len(table),
            y=None if y is None else torch.from_numpy(np.array(y)),
            node_y=None if node_y is None else take(node_y, node_order),
        )

    @property
    def num_nodes(self) -> int:
        return len(self.x)

    @property
    def num_edges(self) -> int:
        return self.edge_index.shape[1]

    def in_table_order(self, node_values: Tensor) -> Tensor:
        """Node values `[N, ...]` of this batch, put back into the order of the table."""
        restored = torch.empty_like(node_values)
        restored[self.node_order] = node_values
        return restored


def sorted_edges(ends: np.ndarray, nodes: int, directed: bool) -> tuple[np.ndarray, np.ndarray]:
    """All directed edges by destination, then source, then row: int64 `[2, E]` ends, and int64 `[E]` rows.

    `ends` (int64 `[2, rows]`, below `nodes`) holds the sources and destinations of each row of the table; unless
    `directed`, a row stands for both directions.
    """
    source, destination = (ends[:1], ends[1:]) if directed else (ends, ends[::-1])
    row = np.arange(ends.shape[1])
    bits = max(nodes, len(row)).bit_length()
    if 3 * bits > 63:
        row = np.tile(row, len(source))
        source, destination = source.ravel(), destination.ravel()
        order = np.lexsort((row, source, destination))
        return np.stack([source[order], destination[order]]), row[order]
    # Each edge in one number, since NumPy sorts numbers several times faster than it finds an order.
    keys = destination << bits
    keys |= source
    keys <<= bits
    keys |= row
    keys = keys.ravel()
    keys.sort()
    mask = (1 << bits) - 1
    row = keys & mask
    edge_index = np.empty((2, len(keys)), np.int64)
    np.right_shift(keys, 2 * bits, out=edge_index[1])
    keys >>= bits
    np.bitwise_and(keys, mask, out=edge_index[0])
    return edge_index, row
