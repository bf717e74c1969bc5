"""The columnar table, against the same graphs as Python lists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.graphs import GraphTable, concatenate
from hydrasurr.graphs.table import offsets_from_counts, ranges, smallest_uint
from tests.tables import assert_same_table, atom_table, graph_tables, molecule_table, same_graphs, unpack


@pytest.fixture
def table() -> GraphTable:
    return molecule_table(["CCO", "[Na+].[Cl-]", "c1ccccc1", "[H][H]", "[He]"])


# -- slicing and iteration -----------------------------------------------------------------------------


@given(graph_tables(), st.data())
def test_slice(table: GraphTable, data: st.DataObject) -> None:
    start, stop = (data.draw(st.none() | st.integers(-10, 10)) for _ in range(2))
    part = table[start:stop].validate()
    assert same_graphs(unpack(part), unpack(table)[start:stop])
    assert part.directed == table.directed


@given(graph_tables(min_graphs=1))
def test_index_and_iteration(table: GraphTable) -> None:
    graphs = unpack(table)
    assert same_graphs([unpack(graph)[0] for graph in table], graphs)
    assert same_graphs(unpack(table[-1]), graphs[-1:])
    assert same_graphs(unpack(table[np.int64(0)]), graphs[:1])


def test_slices_are_views(table: GraphTable) -> None:
    part = table[1:4]
    assert all(np.shares_memory(part.columns[name], table.columns[name]) for name in table.columns)
    assert np.shares_memory(part.edge_index, table.edge_index)


def test_index_outside(table: GraphTable) -> None:
    for index in (5, -6):
        with pytest.raises(IndexError):
            table[index]


def test_slice_with_a_step(table: GraphTable) -> None:
    with pytest.raises(ValueError, match="use gather"):
        table[::2]


# -- gather --------------------------------------------------------------------------------------------


@given(graph_tables(min_graphs=1), st.data())
def test_gather(table: GraphTable, data: st.DataObject) -> None:
    indices = data.draw(st.lists(st.integers(-len(table), len(table) - 1), max_size=12))
    graphs = unpack(table)
    chosen = table.gather(indices).validate()
    assert same_graphs(unpack(chosen), [graphs[index] for index in indices])
    assert_same_table(table.gather(np.array(indices, np.int32)), chosen)


@given(graph_tables())
def test_gather_everything_and_nothing(table: GraphTable) -> None:
    assert_same_table(table.gather(range(len(table))), table)
    assert_same_table(table.gather([]), table[:0])


def test_gather_outside(table: GraphTable) -> None:
    for indices in ([0, 5], [-6]):
        with pytest.raises(IndexError, match="outside a table of 5 graphs"):
            table.gather(indices)
    with pytest.raises(IndexError):
        table[:0].gather([0])


def test_gather_by_a_mask_is_refused(table: GraphTable) -> None:
    with pytest.raises(IndexError, match="flatnonzero"):
        table.gather(np.array([True, False, True, False, True]))


# -- concatenation -------------------------------------------------------------------------------------


@given(st.booleans().flatmap(lambda d: st.lists(graph_tables(directed=d), min_size=1, max_size=4)))
def test_concatenate(tables: list[GraphTable]) -> None:
    together = concatenate(tables).validate()
    assert same_graphs(unpack(together), [graph for table in tables for graph in unpack(table)])


@given(graph_tables(), st.data())
def test_cutting_and_joining_changes_nothing(table: GraphTable, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(table)))
    assert_same_table(concatenate([table[:cut], table[cut:]]), table)


def test_concatenate_widens_the_index() -> None:
    small, large = molecule_table(["C"]), molecule_table(["C" * 100], max_atoms=1000)
    assert concatenate([small, large]).validate().edge_index.dtype == np.uint16


def test_concatenate_refuses_what_differs(table: GraphTable) -> None:
    with pytest.raises(ValueError, match="no tables"):
        concatenate([])
    with pytest.raises(ValueError, match="differ in columns"):
        concatenate([table, table.select(["x", "y"])])
    directed = GraphTable(table.offsets, table.edge_index, table.columns, directed=True)
    with pytest.raises(ValueError, match="one direction or both"):
        concatenate([table, directed])


# -- columns -------------------------------------------------------------------------------------------


def test_select(table: GraphTable) -> None:
    part = table.select(["x", "y"]).validate()
    assert set(part.columns) == {"x", "y"}
    assert set(part.offsets) == {"node", "edge"}, "nothing of the SMILES is left"
    assert part.nbytes < table.nbytes
    assert same_graphs([{"x": g["x"], "y": g["y"]} for g in unpack(part)],
                       [{"x": g["x"], "y": g["y"]} for g in unpack(table)])  # fmt: skip
    with pytest.raises(KeyError):
        table.select(["z"])


@given(st.lists(st.text()))
def test_smiles_of_any_script_come_back(texts: list[str]) -> None:
    table = atom_table(len(texts)).with_smiles(texts)
    assert table.smiles() == texts
    assert table[1:].smiles() == texts[1:]
    assert table.gather(np.arange(len(texts))[::-1]).smiles() == texts[::-1]


def test_without_smiles(table: GraphTable) -> None:
    with pytest.raises(KeyError):
        table.select(["x"]).smiles()


def test_with_columns_replaces_and_checks(table: GraphTable) -> None:
    changed = table.with_columns(y=np.zeros((5, 3)))
    assert changed.y.shape == (5, 3) and table.y.shape == (5, 2)
    with pytest.raises(ValueError, match="column 'y' has 4 rows, expected 5"):
        table.with_columns(y=np.zeros((4, 1)))
    with pytest.raises(ValueError, match="unknown column 'charges'"):
        table.with_columns(charges=np.zeros(5))


def test_facts(table: GraphTable) -> None:
    assert len(table) == 5
    assert table.counts("node").tolist() == [9, 2, 12, 2, 1]
    assert table.counts("edge").tolist() == [8, 0, 12, 1, 0]
    assert (table.num_nodes, table.num_edges) == (26, 21)
    assert table.counts("char").tolist() == [3, 11, 8, 6, 4]


# -- degrees -------------------------------------------------------------------------------------------


@given(graph_tables())
def test_in_degrees(table: GraphTable) -> None:
    degrees = []
    for graph in unpack(table):
        degree = [0] * graph["nodes"]
        for a, b in graph["edges"]:
            degree[b] += 1
            degree[a] += not table.directed
        degrees += degree
    assert table.in_degrees().tolist() == degrees


# -- inconsistent tables -------------------------------------------------------------------------------


def broken(table: GraphTable, **changes: object) -> GraphTable:
    parts = {"offsets": table.offsets, "edge_index": table.edge_index, "columns": table.columns}
    return GraphTable(**{**parts, **changes})


@pytest.mark.parametrize(
    "level, offset, message",
    [
        ("node", [1, 9, 11, 23, 25, 26], "node offsets must start at 0"),
        ("node", [0, 9, 8, 23, 25, 26], "never fall"),
        ("edge", [0, 8, 8, 20, 21], "have 6 entries"),
        ("edge", [], "have 6 entries"),
        ("char", [0, 3, 14, 22, 28, 40], "column 'smiles' has 32 rows, expected 40"),
        ("node", [0, 9, 11, 23, 25, 27], "column 'x' has 26 rows, expected 27"),
        ("edge", [0, 8, 8, 20, 21, 22], "column 'edge_attr' has 21 rows, expected 22"),
        ("bond", [0, 1, 2, 3, 4, 5], "unknown level 'bond'"),
    ],
)
def test_wrong_offsets(table: GraphTable, level: str, offset: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        broken(table, offsets={**table.offsets, level: np.array(offset, np.int64)}).validate()


def test_wrong_edges(table: GraphTable) -> None:
    with pytest.raises(ValueError, match="edge_index has shape"):
        broken(table, edge_index=table.edge_index[:, 1:]).validate()
    with pytest.raises(ValueError, match="beyond the end of its graph"):
        broken(table, edge_index=table.edge_index + np.uint8(1)).validate()
    with pytest.raises(ValueError, match="not negative"):
        broken(table, edge_index=table.edge_index.astype(np.int64) - 1).validate()
    with pytest.raises(ValueError, match="must hold integers"):
        broken(table, edge_index=table.edge_index.astype(np.float32)).validate()


def test_smiles_without_offsets(table: GraphTable) -> None:
    offsets = {level: table.offsets[level] for level in ("node", "edge")}
    with pytest.raises(ValueError, match="column 'smiles' needs offsets of level 'char'"):
        broken(table, offsets=offsets).validate()


# -- the small helpers ---------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 6))))
def test_ranges(pairs: list[tuple[int, int]]) -> None:
    starts, counts = np.array(pairs, np.int64).reshape(-1, 2).T
    assert ranges(starts, counts).tolist() == [k for start, n in pairs for k in range(start, start + n)]


def test_offsets_from_narrow_counts() -> None:
    offsets = offsets_from_counts(np.array([200, 200, 0], np.uint8))
    assert (offsets.tolist(), offsets.dtype) == ([0, 200, 400, 400], np.int64)


@pytest.mark.parametrize("largest, dtype", [(0, "u1"), (-1, "u1"), (255, "u1"), (256, "u2"), (2**16, "u4")])
def test_smallest_uint(largest: int, dtype: str) -> None:
    assert smallest_uint(largest) == np.dtype(dtype)
