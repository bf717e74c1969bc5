"""The columnar graph: many graphs as a few flat arrays, the same from disk to model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

LEVELS: dict[str, str] = {
    "x": "node",
    "node_y": "node",
    "position": "node",
    "force": "node",
    "edge_attr": "edge",
    "shift": "edge",
    "y": "graph",
    "cell": "graph",
    "pbc": "graph",
    "stress": "graph",
    "row": "graph",
    "smiles": "char",
}
"""The level of each known column: what one row of it belongs to."""

RAGGED = ("node", "edge", "char")
"""Levels with a varying number of rows a graph, hence with an offset array."""


def offsets_from_counts(counts: np.ndarray) -> np.ndarray:
    """int64 `[n + 1]` offsets, starting at 0, of rows laid end to end."""
    offsets = np.zeros(len(counts) + 1, np.int64)
    counts.cumsum(out=offsets[1:])
    return offsets


def ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The concatenation of `arange(start, start + count)` over all pairs, without a Python loop."""
    offsets = offsets_from_counts(counts)
    result = (starts - offsets[:-1]).repeat(counts)
    result += np.arange(len(result))
    return result


def smallest_uint(largest: int) -> np.dtype:
    """The smallest unsigned integer type that holds `largest`."""
    return np.min_scalar_type(max(int(largest), 0))


@dataclass(frozen=True)
class GraphTable:
    """`G` graphs with `N` nodes and `E` edges in all, as flat arrays.

    Attributes
    ----------
    offsets : level -> int64 `[G + 1]`; graph `g` owns rows `offset[g]:offset[g + 1]` of that level's columns.
        "node" and "edge" are always there, "char" where the table carries SMILES.
    edge_index : unsigned integers `[2, E]`, row 0 the sources, row 1 the destinations, counted within each graph.
    columns : name -> array whose first axis is the level's (see LEVELS): `x` uint8 `[N, node features]`,
        `edge_attr` uint8 `[E, edge features]`, `y` float64 `[G, targets]` (NaN: missing), `node_y` float64
        `[N, node targets]`, `row` int64 `[G]` the row of the source table, `smiles` uint8 UTF-8 bytes. Atoms in
        space have more of them: see `hydrasurr.graphs.structures`.
    directed : if False, each edge row stands for both directions (a chemical bond is stored once).
    """

    offsets: Mapping[str, np.ndarray]
    edge_index: np.ndarray
    columns: Mapping[str, np.ndarray]
    directed: bool = False

    # -- what is here ---------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.offsets["node"]) - 1

    @property
    def node_offset(self) -> np.ndarray:
        return self.offsets["node"]

    @property
    def edge_offset(self) -> np.ndarray:
        return self.offsets["edge"]

    @property
    def num_nodes(self) -> int:
        return int(self.node_offset[-1])

    @property
    def num_edges(self) -> int:
        return int(self.edge_offset[-1])

    @property
    def x(self) -> np.ndarray:
        return self.columns["x"]

    @property
    def edge_attr(self) -> np.ndarray:
        return self.columns["edge_attr"]

    @property
    def y(self) -> np.ndarray:
        return self.columns["y"]

    @property
    def nbytes(self) -> int:
        return sum(a.nbytes for a in (*self.offsets.values(), self.edge_index, *self.columns.values()))

    def counts(self, level: str) -> np.ndarray:
        """int64 `[G]`: rows of `level` in each graph."""
        offset = self.offsets[level]
        return offset[1:] - offset[:-1]  # np.diff, but at a third of the cost for one graph

    def smiles(self) -> list[str]:
        """The SMILES of each graph. Raises KeyError if the table carries none."""
        flat, offset = self.columns["smiles"].tobytes(), self.offsets["char"]
        return [flat[a:b].decode() for a, b in pairwise(offset)]

    def in_degrees(self) -> np.ndarray:
        """int64 `[N]`: number of edges that end at each node, both directions counted."""
        base = np.repeat(self.node_offset[:-1], self.counts("edge"))
        ends = self.edge_index[1:] if self.directed else self.edge_index
        return np.bincount((ends + base).ravel(), minlength=self.num_nodes)

    def validate(self) -> GraphTable:
        """Return self, or raise ValueError naming the first inconsistency."""
        for level, offset in self.offsets.items():
            if level not in RAGGED:
                raise ValueError(f"unknown level '{level}'; known: {', '.join(RAGGED)}")
            if len(offset) != len(self) + 1 or offset[0] != 0 or (np.diff(offset) < 0).any():
                raise ValueError(f"{level} offsets must start at 0, never fall, and have {len(self) + 1} entries")
        rows = {"graph": len(self)} | {level: int(offset[-1]) for level, offset in self.offsets.items()}
        for name, column in self.columns.items():
            if name not in LEVELS:
                raise ValueError(f"unknown column '{name}'; known: {', '.join(LEVELS)}")
            level = LEVELS[name]
            if level not in rows:
                raise ValueError(f"column '{name}' needs offsets of level '{level}'")
            if len(column) != rows[level]:
                raise ValueError(f"column '{name}' has {len(column)} rows, expected {rows[level]}")
        if self.edge_index.shape != (2, rows["edge"]):
            raise ValueError(f"edge_index has shape {self.edge_index.shape}, expected (2, {rows['edge']})")
        if self.edge_index.dtype.kind not in "iu" or self.edge_index.min(initial=0) < 0:
            raise ValueError("edge_index must hold integers that are not negative")
        if (self.edge_index >= np.repeat(self.counts("node"), self.counts("edge"))).any():
            raise ValueError("edge_index names a node beyond the end of its graph")
        return self

    # -- other tables from this one -------------------------------------------------------------------

    def select(self, names: Iterable[str]) -> GraphTable:
        """The same graphs with only the named columns."""
        columns = {name: self.columns[name] for name in names}
        kept = {LEVELS[name] for name in columns} | {"node", "edge"}
        return replace(self, columns=columns, offsets={k: v for k, v in self.offsets.items() if k in kept})

    def with_columns(self, **columns: np.ndarray) -> GraphTable:
        """The same graphs with columns added or replaced."""
        return replace(self, columns={**self.columns, **columns}).validate()

    def with_smiles(self, smiles: Sequence[str]) -> GraphTable:
        """The same graphs carrying their SMILES."""
        encoded = [text.encode() for text in smiles]
        offset = offsets_from_counts(np.fromiter(map(len, encoded), np.int64, len(encoded)))
        flat = np.frombuffer(b"".join(encoded), np.uint8)
        return replace(self, offsets={**self.offsets, "char": offset}).with_columns(smiles=flat)

    def __getitem__(self, index: int | slice) -> GraphTable:
        """The graphs of a contiguous slice (step 1), or one graph. Columns are views, not copies."""
        if not isinstance(index, slice):
            index = range(len(self))[index]
            index = slice(index, index + 1)
        start, stop, step = index.indices(len(self))
        if step != 1:
            raise ValueError("GraphTable slices have step 1; use gather for other selections")
        stop = max(start, stop)
        bounds = {level: slice(offset[start], offset[stop]) for level, offset in self.offsets.items()}
        bounds["graph"] = slice(start, stop)
        return GraphTable(
            offsets={level: o[start : stop + 1] - o[start] for level, o in self.offsets.items()},
            edge_index=self.edge_index[:, bounds["edge"]],
            columns={name: column[bounds[LEVELS[name]]] for name, column in self.columns.items()},
            directed=self.directed,
        )

    def __iter__(self) -> Iterator[GraphTable]:
        return (self[g] for g in range(len(self)))

    def gather(self, indices: np.ndarray | Sequence[int]) -> GraphTable:
        """The graphs at `indices`, in that order, repeats allowed.

        Raises IndexError for an index outside `[-G, G)`, or for a mask (`np.flatnonzero` makes indices of it).
        """
        if np.asarray(indices).dtype == bool:
            raise IndexError("gather takes indices of graphs, not a mask; use np.flatnonzero(mask)")
        indices = np.asarray(indices, np.int64)
        if len(indices):
            if not -len(self) <= (least := indices.min()) <= indices.max() < len(self):
                raise IndexError(f"graph index outside a table of {len(self)} graphs")
            if least < 0:
                indices = np.where(indices < 0, indices + len(self), indices)
        rows, offsets = {"graph": indices}, {}
        for level, offset in self.offsets.items():
            starts = offset[indices]
            counts = offset[indices + 1] - starts
            rows[level], offsets[level] = ranges(starts, counts), offsets_from_counts(counts)

        def take(values: np.ndarray, level: str, axis: int = 0) -> np.ndarray:
            return values.take(rows[level], axis, mode="clip")  # rows are good; "clip" spares NumPy a check

        return GraphTable(
            offsets=offsets,
            edge_index=take(self.edge_index, "edge", axis=1),
            columns={name: take(column, LEVELS[name]) for name, column in self.columns.items()},
            directed=self.directed,
        )


def concatenate(tables: Sequence[GraphTable]) -> GraphTable:
    """One table with the graphs of all `tables` in order.

    Raises ValueError if there are none, or if they differ in columns or in what an edge row means.
    """
    if not tables:
        raise ValueError("no tables to concatenate")
    first = tables[0]
    for table in tables[1:]:
        if table.columns.keys() != first.columns.keys() or table.offsets.keys() != first.offsets.keys():
            raise ValueError(f"tables differ in columns: {sorted(table.columns)} and {sorted(first.columns)}")
        if table.directed != first.directed:
            raise ValueError("tables differ in whether edge rows stand for one direction or both")
    if len(tables) == 1:
        return first
    return GraphTable(
        offsets={
            level: offsets_from_counts(np.concatenate([table.counts(level) for table in tables]))
            for level in first.offsets
        },
        edge_index=np.concatenate([table.edge_index for table in tables], axis=1),
        columns={name: np.concatenate([table.columns[name] for table in tables]) for name in first.columns},
        directed=first.directed,
    )
