"""The training batch, against PyG's `Batch` of the same graphs."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Batch

from hydrasurr.graphs import GraphTable
from hydrasurr.graphs.pyg import to_pyg
from hydrasurr.loading import GraphBatch
from hydrasurr.loading.batch import sorted_edges
from tests.molecules import HARD
from tests.tables import atom_table, graph_tables, molecule_table


def same_batch(batch: GraphBatch, other: GraphBatch) -> bool:
    for field in fields(GraphBatch):
        a, b = getattr(batch, field.name), getattr(other, field.name)
        if isinstance(a, torch.Tensor):
            if a.dtype != b.dtype or not np.array_equal(a.numpy(), b.numpy(), equal_nan=True):
                return False
        elif a != b:
            return False
    return True


def check(table: GraphTable) -> GraphBatch:
    """Compare the batch of a table with PyG's, node by node and edge by edge."""
    batch = GraphBatch.from_table(table)
    expected = Batch.from_data_list(to_pyg(table))
    order = batch.node_order
    assert sorted(order.tolist()) == list(range(expected.num_nodes))
    assert torch.equal(batch.x, expected.x[order])
    assert torch.equal(batch.graph_index, expected.batch[order])
    np.testing.assert_array_equal(batch.y, expected.y)

    def edges(edge_index: torch.Tensor, edge_attr: torch.Tensor) -> list[tuple]:
        return sorted(zip(*edge_index.tolist(), map(tuple, edge_attr.tolist()), strict=True))

    assert edges(order[batch.edge_index], batch.edge_attr) == edges(expected.edge_index, expected.edge_attr)
    assert (batch.num_graphs, batch.num_nodes, batch.num_edges) == (len(table), len(expected.x), expected.num_edges)

    # the layout that neighbourhood reductions count on
    source, destination = batch.edge_index
    degree = torch.bincount(destination, minlength=batch.num_nodes)
    assert degree.tolist() == sorted(table.in_degrees().tolist())
    assert batch.degree_counts == tuple(torch.bincount(degree).tolist())
    pairs = list(zip(destination.tolist(), source.tolist(), strict=True))
    assert pairs == sorted(pairs)
    for d in set(degree.tolist()):  # stable: nodes of one degree stand as in the table
        assert order[degree == d].tolist() == sorted(order[degree == d].tolist())
    return batch


@given(graph_tables(min_graphs=1))
def test_any_graphs(table: GraphTable) -> None:
    batch = check(table)
    np.testing.assert_array_equal(batch.in_table_order(batch.node_y), table.columns["node_y"])


@pytest.mark.parametrize("directed", [False, True])
@given(seed=st.integers(0, 2**32))
def test_edges_of_batches_too_large_for_one_number_an_edge(directed: bool, seed: int) -> None:
    """With many nodes another way of sorting is taken; parallel edges and self-loops included, it finds the same."""
    ends = np.random.default_rng(seed).integers(0, 5, (2, 30))
    ways = [sorted_edges(ends, nodes, directed) for nodes in (5, 2**21)]
    for found, expected in zip(*ways, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_molecules(real_smiles: list[str]) -> None:
    batch = check(molecule_table([*real_smiles[:64], *HARD.values()]))
    assert batch.degree_counts[1] > batch.degree_counts[4] > 0
    assert batch.node_y is None


def test_dtypes_and_shapes() -> None:
    batch = check(molecule_table(["CCO", "[He]"]))
    dtypes = {name: getattr(batch, name).dtype for name in ("x", "edge_attr", "edge_index", "graph_index", "y")}
    assert dtypes == dict(
        x=torch.uint8, edge_attr=torch.uint8, edge_index=torch.int64, graph_index=torch.int64, y=torch.float64
    )
    assert (batch.x.shape, batch.edge_index.shape, batch.edge_attr.shape) == ((10, 9), (2, 16), (16, 4))
    assert all(getattr(batch, f.name).is_contiguous() for f in fields(batch) if f.name in dtypes)


def test_without_edges_and_without_graphs() -> None:
    batch = check(atom_table(5))
    assert (batch.degree_counts, batch.num_edges, batch.edge_attr.shape) == ((5,), 0, (0, 4))
    none = GraphBatch.from_table(atom_table(0))
    assert (none.num_graphs, none.num_nodes, none.num_edges, none.degree_counts) == (0, 0, 0, ())


@given(graph_tables(min_graphs=1, directed=False), st.integers(0, 2**32))
def test_order_and_direction_of_stored_edges_do_not_matter(table: GraphTable, seed: int) -> None:
    """Nor whether each edge is stored once, or twice in a directed table; in graphs without parallel edges."""
    table = without_parallel_edges(table)
    rng = np.random.default_rng(seed)
    graph = np.repeat(np.arange(len(table)), table.counts("edge"))
    shuffled = np.lexsort((rng.random(len(graph)), graph))  # within each graph
    turned = np.where(rng.random(len(graph)) < 0.5, table.edge_index, table.edge_index[::-1])
    other = replace(
        table,
        edge_index=turned[:, shuffled],
        columns={**table.columns, "edge_attr": table.edge_attr[shuffled]},
    ).validate()
    batch = GraphBatch.from_table(table)
    assert same_batch(GraphBatch.from_table(other), batch)

    twice = np.argsort(np.concatenate([graph, graph]), kind="stable")
    directed = GraphTable(
        offsets={**table.offsets, "edge": 2 * table.edge_offset},
        edge_index=np.concatenate([table.edge_index, table.edge_index[::-1]], axis=1)[:, twice],
        columns={**table.columns, "edge_attr": np.concatenate([table.edge_attr] * 2)[twice]},
        directed=True,
    ).validate()
    assert same_batch(GraphBatch.from_table(directed), batch)


def without_parallel_edges(table: GraphTable) -> GraphTable:
    graph = np.repeat(np.arange(len(table)), table.counts("edge"))
    ends = np.sort(table.edge_index, axis=0)
    kept = np.unique(np.stack([graph, *ends]), axis=1, return_index=True)[1]
    kept = np.sort(kept[ends[0, kept] != ends[1, kept]])
    counts = np.bincount(graph[kept], minlength=len(table))
    return GraphTable(
        offsets={**table.offsets, "edge": np.concatenate([[0], np.cumsum(counts)])},
        edge_index=table.edge_index[:, kept],
        columns={**table.columns, "edge_attr": table.edge_attr[kept]},
    ).validate()


@pytest.mark.parametrize("trailing", [(), (3,), (2, 4)])
def test_node_values_back_in_table_order(trailing: tuple[int, ...]) -> None:
    table = molecule_table(["CCO", "c1ccccc1", "C"])
    batch = GraphBatch.from_table(table)
    values = torch.randn(table.num_nodes, *trailing)
    assert torch.equal(batch.in_table_order(values[batch.node_order]), values)


def test_moving_keeps_everything() -> None:
    table = molecule_table(["CCO", "C"])
    batch = GraphBatch.from_table(table.with_columns(node_y=np.arange(14.0)[:, None]))
    assert same_batch(batch.to("cpu"), batch)
    there = batch.to("meta", non_blocking=True)
    for field in fields(GraphBatch):
        value, moved = getattr(batch, field.name), getattr(there, field.name)
        if isinstance(value, torch.Tensor):
            assert (moved.device.type, moved.shape, moved.dtype) == ("meta", value.shape, value.dtype)
        else:
            assert moved == value


@pytest.mark.filterwarnings("error")
def test_batch_shares_no_memory_with_the_table() -> None:
    """A table may be mapped from a file that cannot be written."""
    table = molecule_table(["CCO", "C"]).with_columns(node_y=np.zeros((14, 1)))
    for array in (table.edge_index, *table.columns.values()):
        array.flags.writeable = False
    batch = GraphBatch.from_table(table)
    for field in fields(GraphBatch):
        value = getattr(batch, field.name)
        if isinstance(value, torch.Tensor):
            value.zero_()
    assert table.columns["y"].any() and table.x.any()
