"""Graph tables to test with: random ones, some of real molecules, and slow references in plain Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from hydrasurr.graphs import GraphTable, Target, molecule_schema
from hydrasurr.graphs.smiles import featurize
from hydrasurr.graphs.table import LEVELS, offsets_from_counts
from hydrasurr.stores import DatasetInfo, TargetStatistics


@st.composite
def graph_tables(
    draw: st.DrawFn, min_graphs: int = 0, max_graphs: int = 8, directed: bool | None = None, smiles: bool = True
) -> GraphTable:
    """Any table: graphs without nodes, without edges, with self-loops and parallel edges; all columns."""
    ends, sizes, edge_counts, texts = [], [], [], []
    for _ in range(draw(st.integers(min_graphs, max_graphs))):
        size = draw(st.integers(0, 6))
        node = st.integers(0, max(size - 1, 0))
        pairs = draw(st.lists(st.tuples(node, node), max_size=8 if size else 0))
        ends += pairs
        sizes.append(size)
        edge_counts.append(len(pairs))
        texts.append(draw(st.text(max_size=6)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    graphs, nodes, edges = len(sizes), sum(sizes), len(ends)
    y = rng.normal(size=(graphs, 2))
    y[rng.random(y.shape) < 0.2] = np.nan
    table = GraphTable(
        offsets={
            "node": offsets_from_counts(np.array(sizes, np.int64)),
            "edge": offsets_from_counts(np.array(edge_counts, np.int64)),
        },
        edge_index=np.array(ends, np.uint8).reshape(edges, 2).T,
        columns={
            "x": rng.integers(0, 256, (nodes, 3), np.uint8),
            "edge_attr": rng.integers(0, 256, (edges, 2), np.uint8),
            "y": y,
            "node_y": rng.normal(size=(nodes, 1)),
            "row": rng.permutation(10 * graphs)[:graphs].astype(np.int64),
        },
        directed=draw(st.booleans()) if directed is None else directed,
    )
    return (table.with_smiles(texts) if smiles else table).validate()


def molecule_table(smiles: Sequence[str], max_atoms: int = 256) -> GraphTable:
    """Molecules with two targets, some values missing; `row` counts from 1000."""
    graphs = featurize(smiles, max_atoms=max_atoms)
    assert not graphs.rejects
    rng = np.random.default_rng(len(smiles))
    y = rng.normal(size=(len(smiles), 2))
    y[rng.random(y.shape) < 0.1] = np.nan
    return graphs.table.with_columns(y=y, row=1000 + np.arange(len(smiles))).with_smiles(
        [text.strip() for text in smiles]
    )


def atom_table(size: int) -> GraphTable:
    """`size` single carbon atoms, without bonds; `row` and `y` count them from 0."""
    offsets = np.arange(size + 1, dtype=np.int64)
    return GraphTable(
        offsets={"node": offsets, "edge": np.zeros_like(offsets)},
        edge_index=np.zeros((2, 0), np.uint8),
        columns={
            "x": np.full((size, 9), 6, np.uint8),
            "edge_attr": np.zeros((0, 4), np.uint8),
            "y": np.arange(size, dtype=np.float64)[:, None],
            "row": np.arange(size),
        },
    ).validate()


def make_info(tables: Mapping[str, GraphTable], **changes: Any) -> DatasetInfo:
    """The header of a data set with these splits."""
    first = next(iter(tables.values()))
    names = [(name, level) for name, level in (("y", "graph"), ("node_y", "node")) if name in first.columns]
    targets = [
        Target(f"{name} {column}", "eV", level)
        for name, level in names
        for column in range(first.columns[name].shape[1])
    ]
    facts = dict(
        name="test",
        feature_schema=molecule_schema(),
        targets=targets,
        directed=first.directed,
        graphs={split: len(table) for split, table in tables.items()},
        nodes={split: table.num_nodes for split, table in tables.items()},
        edges={split: table.num_edges for split, table in tables.items()},
        statistics=[TargetStatistics(count=9, mean=0.5, std=2.0, min=-1.5, max=3.25)] * len(targets),
        degree_histogram=np.bincount(first.in_degrees()).tolist(),
    )
    return DatasetInfo(**(facts | changes))


def unpack(table: GraphTable) -> list[dict[str, Any]]:
    """Each graph as a dictionary of lists, by walking the offsets."""
    graphs = []
    for g in range(len(table.offsets["node"]) - 1):
        graph: dict[str, Any] = {"nodes": int(table.offsets["node"][g + 1] - table.offsets["node"][g])}
        start, stop = table.offsets["edge"][g], table.offsets["edge"][g + 1]
        graph["edges"] = [(int(table.edge_index[0, e]), int(table.edge_index[1, e])) for e in range(start, stop)]
        for name, column in table.columns.items():
            level = LEVELS[name]
            start, stop = (g, g + 1) if level == "graph" else table.offsets[level][g : g + 2]
            graph[name] = [column[k].tolist() for k in range(start, stop)]
        graphs.append(graph)
    return graphs


def same_graphs(graphs: list[dict[str, Any]], others: list[dict[str, Any]]) -> bool:
    """Equality of `unpack`ed graphs in which NaN equals NaN."""
    return repr(graphs) == repr(others)


def assert_same_table(table: GraphTable, expected: GraphTable) -> None:
    """The same graphs in the same columns, bit for bit and type for type."""
    assert table.directed == expected.directed
    assert table.offsets.keys() == expected.offsets.keys()
    for level in expected.offsets:
        assert table.offsets[level].dtype == np.int64
        np.testing.assert_array_equal(table.offsets[level], expected.offsets[level], err_msg=level)
    assert table.columns.keys() == expected.columns.keys()
    pairs = {name: (table.columns[name], expected.columns[name]) for name in expected.columns}
    for name, (array, wanted) in {"edge_index": (table.edge_index, expected.edge_index), **pairs}.items():
        assert array.dtype == wanted.dtype, name
        assert array.shape == wanted.shape, name
        np.testing.assert_array_equal(array, wanted, err_msg=name)
