"""Atoms in space as graphs: structures in a GraphTable, their edges the pairs of atoms within a cutoff.

Columns of such a table (lengths in Angstrom, energies in eV):

    x         uint8 [N, 1]       atomic number
    position  float64 [N, 3]     may lie outside the cell
    cell      float64 [G, 3, 3]  rows are the cell vectors; zeros without a cell
    pbc       uint8 [G, 3]       1 along cell vectors by which the structure repeats
    y         float64 [G, 1]     energy (NaN: missing)
    force     float64 [N, 3]     eV/A (NaN: missing)
    stress    float64 [G, 3, 3]  eV/A^3, positive under tension (NaN: missing)
    shift     int16 [E, 3]       cell vectors to add to the source of the edge

The vector of an edge goes from its destination to that image of its source, and each row stands for both
directions. A table without the column `shift` has no edges yet; `with_radius_graph` finds them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hydrasurr.errors import StructureError
from hydrasurr.graphs.schema import ELEMENTS, Feature, FeatureSchema
from hydrasurr.graphs.systems import Systems
from hydrasurr.graphs.table import GraphTable, offsets_from_counts, ranges, smallest_uint

STRUCTURE_COLUMNS = ("x", "position", "cell", "pbc")
"""Columns that every structure has."""

_SMALL = 64
"""Atoms up to which comparing all with all beats a neighbour list."""
_PAIRS_AT_ONCE = 1 << 20


def structure_schema() -> FeatureSchema:
    """The schema of structures: nodes have an element, whose code is the atomic number; edges have no features."""
    return FeatureSchema(nodes=(Feature("element", tuple(ELEMENTS)),), edges=())


def to_table(
    systems: Systems,
    *,
    energy: np.ndarray | None = None,
    forces: np.ndarray | None = None,
    stress: np.ndarray | None = None,
) -> GraphTable:
    """A table of systems, without edges; labels are float64 `[S]`, `[N, 3]` and `[S, 3, 3]`, NaN where missing."""
    columns = {
        "x": systems.numbers.astype(np.uint8)[:, None],
        "position": systems.positions,
        "cell": systems.cell,
        "pbc": systems.pbc.astype(np.uint8),
    }
    labels = {"y": None if energy is None else np.reshape(energy, (-1, 1)), "force": forces, "stress": stress}
    columns |= {name: np.asarray(label, np.float64) for name, label in labels.items() if label is not None}
    offsets = {"node": systems.offset, "edge": np.zeros(len(systems) + 1, np.int64)}
    return GraphTable(offsets, np.empty((2, 0), np.uint8), columns).validate()


def to_systems(table: GraphTable) -> Systems:
    """The systems of a table."""
    numbers = table.x[:, 0].astype(np.int64)
    columns = table.columns
    return Systems(numbers, columns["position"], columns["cell"], columns["pbc"].astype(bool), table.node_offset)


def edge_shifts(table: GraphTable) -> np.ndarray:
    """float64 `[E, 3]`: what to add to the position of each edge's source, Angstrom."""
    shifts = np.zeros((table.num_edges, 3))
    periodic = table.columns["pbc"].any(1)
    if periodic.any():
        cells = table.columns["shift"].astype(np.float64)
        for graph in np.flatnonzero(periodic).tolist():
            edges = slice(*table.edge_offset[graph : graph + 2])
            np.matmul(cells[edges], table.columns["cell"][graph], out=shifts[edges])
    return shifts


def edge_vectors(table: GraphTable) -> np.ndarray:
    """float64 `[E, 3]`: from the destination of each edge to its source, Angstrom."""
    ends = table.edge_index + table.node_offset[:-1].repeat(table.counts("edge"))
    source, destination = table.columns["position"][ends]
    return source + edge_shifts(table) - destination


def with_radius_graph(table: GraphTable, cutoff: float) -> GraphTable:
    """The same structures, their edges the pairs of atoms within `cutoff` Angstrom, periodic images included."""
    small = (table.counts("node") <= _SMALL) & ~table.columns["pbc"].any(1)
    found = [_all_pairs(table, np.flatnonzero(small), cutoff), _listed_pairs(table, np.flatnonzero(~small), cutoff)]
    graph, source, destination, shift = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if not small.all() and small.any():
        order = graph.argsort(kind="stable")
        graph, source, destination, shift = graph[order], source[order], destination[order], shift[order]
    index = smallest_uint(table.counts("node").max(initial=1) - 1)
    return GraphTable(
        offsets={**table.offsets, "edge": offsets_from_counts(np.bincount(graph, minlength=len(table)))},
        edge_index=np.stack([source.astype(index), destination.astype(index)]),
        columns={**table.columns, "shift": shift},
        directed=False,
    )


def within(table: GraphTable, cutoff: float) -> GraphTable:
    """The same structures without the edges longer than `cutoff` Angstrom."""
    kept = np.square(edge_vectors(table)).sum(1) <= cutoff**2
    if kept.all():
        return table
    before = offsets_from_counts(kept)
    return replace(
        table,
        offsets={**table.offsets, "edge": before[table.edge_offset]},
        edge_index=table.edge_index[:, kept],
        columns={**table.columns, "shift": table.columns["shift"][kept]},
    )


_Edges = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Graph, source and destination (counted within the graph) and shift of each edge; graphs never fall."""


def _all_pairs(table: GraphTable, graphs: np.ndarray, cutoff: float) -> _Edges:
    """Edges of small structures without periodicity, many structures at a time."""
    sizes = table.counts("node")[graphs]
    pairs_before = offsets_from_counts(sizes * (sizes - 1) // 2)
    parts, start = [_no_edges()], 0
    while start < len(graphs):
        stop = int(np.searchsorted(pairs_before, pairs_before[start] + _PAIRS_AT_ONCE, side="right")) - 1
        stop = max(stop, start + 1)
        parts.append(_all_pairs_at_once(table, graphs[start:stop], cutoff))
        start = stop
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def _all_pairs_at_once(table: GraphTable, graphs: np.ndarray, cutoff: float) -> _Edges:
    sizes, first = table.counts("node")[graphs], table.node_offset[graphs]
    # Atom k of a structure meets the atoms 0 to k - 1.
    earlier = ranges(np.zeros_like(sizes), sizes)
    destination = earlier.repeat(earlier)
    source = ranges(np.zeros_like(earlier), earlier)
    place = np.arange(len(graphs)).repeat(sizes * (sizes - 1) // 2)
    position = table.columns["position"]
    vector = position.take(first[place] + source, axis=0) - position.take(first[place] + destination, axis=0)
    near = np.flatnonzero(np.einsum("ei,ei->e", vector, vector) <= cutoff**2)
    return graphs[place[near]], source[near], destination[near], np.zeros((len(near), 3), np.int16)


def _listed_pairs(table: GraphTable, graphs: np.ndarray, cutoff: float) -> _Edges:
    """Edges of large or periodic structures, by neighbour lists."""
    from hydrasurr.graphs.neighbours import NeighbourList  # late: its library loads torch if that is installed

    systems, search = to_systems(table), NeighbourList(cutoff)
    parts = [_no_edges()]
    for graph in graphs.tolist():
        pairs = search.pairs(systems[graph])
        if len(pairs) and np.abs(pairs.shift).max() > np.iinfo(np.int16).max:
            raise StructureError(f"structure {graph}: atoms lie too many cells apart; wrap the positions into the cell")
        parts.append((np.full(len(pairs), graph), pairs.j, pairs.i, pairs.shift.astype(np.int16)))
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def _no_edges() -> _Edges:
    nothing = np.empty(0, np.int64)
    return nothing, nothing, nothing, np.empty((0, 3), np.int16)
