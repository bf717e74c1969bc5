"""The border to PyTorch Geometric: GraphTable <-> lists of `Data`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hydrasurr.graphs.table import LEVELS, GraphTable, offsets_from_counts, smallest_uint

if TYPE_CHECKING:
    from torch_geometric.data import Data


def to_pyg(table: GraphTable) -> list[Data]:
    """One `Data` a graph: `edge_index` int64; undirected edges first as stored, then all reversed.

    Node, edge and graph columns keep their names and dtypes; graph columns get shape `[1, ...]`, so that
    `Batch` stacks them. SMILES become the string attribute `smiles`.
    """
    import torch
    from torch_geometric.data import Data

    smiles = table.smiles() if "smiles" in table.columns else None
    graphs = []
    for index, graph in enumerate(table):
        edge_index = graph.edge_index.astype(np.int64)
        if not graph.directed:
            edge_index = np.concatenate([edge_index, edge_index[::-1]], axis=1)
        data = Data(edge_index=torch.from_numpy(edge_index), num_nodes=graph.num_nodes)
        for name, column in graph.columns.items():
            if LEVELS[name] == "edge" and not graph.directed:
                column = np.concatenate([column, _reversed(name, column)])
            if LEVELS[name] != "char":
                data[name] = torch.from_numpy(np.array(column))
        if smiles is not None:
            data.smiles = smiles[index]
        graphs.append(data)
    return graphs


def _reversed(name: str, column: np.ndarray) -> np.ndarray:
    """An edge column for the same edges the other way round."""
    return -column if name == "shift" else column


def from_pyg(graphs: Sequence[Data], directed: bool = True) -> GraphTable:
    """A table of PyG graphs that all have the same attributes; those named in `LEVELS` are taken over.

    Targets of one dimension, as PyG users often store them, get the two that `y` and `node_y` have. With
    `directed=False` each graph must list its edges first one way, then all reversed, as `to_pyg` writes them;
    the second half is dropped. Raises ValueError if it does not, if the list is empty, or if a graph lacks
    what the first one has.
    """
    if not graphs:
        raise ValueError("no graphs to convert")
    names = [name for name in LEVELS if name in graphs[0]]
    columns: dict[str, list[np.ndarray]] = {name: [] for name in names if name != "smiles"}
    ends, edge_counts = [], []
    for index, data in enumerate(graphs):
        edge_index = data.edge_index.numpy()
        kept = slice(None)
        if not directed:
            kept = slice(edge_index.shape[1] // 2)
            if not np.array_equal(edge_index[:, kept], edge_index[::-1, kept.stop :]):
                raise ValueError(f"graph {index} does not list its edges one way and then reversed")
        ends.append(edge_index[:, kept])
        edge_counts.append(ends[-1].shape[1])
        missing = [name for name in names if name not in data]
        if missing:
            raise ValueError(f"graph {index} has no '{missing[0]}', graph 0 has")
        for name in columns:
            values = data[name].numpy()
            if name == "y" and values.ndim < 2:
                values = values.reshape(1, -1)
            elif name == "node_y" and values.ndim == 1:
                values = values[:, None]
            elif LEVELS[name] == "edge" and not directed:
                if not np.array_equal(_reversed(name, values[kept]), values[kept.stop :]):
                    raise ValueError(f"'{name}' of graph {index} differs between the two directions of an edge")
                values = values[kept]
            columns[name].append(values)
    edge_index = np.concatenate(ends, axis=1)
    table = GraphTable(
        offsets={
            "node": offsets_from_counts(np.array([data.num_nodes for data in graphs])),
            "edge": offsets_from_counts(np.array(edge_counts)),
        },
        edge_index=edge_index.astype(smallest_uint(edge_index.max(initial=0))),
        columns={name: np.concatenate(parts) for name, parts in columns.items()},
        directed=directed,
    )
    if "smiles" in names:
        table = table.with_smiles([data.smiles for data in graphs])
    return table.validate()
