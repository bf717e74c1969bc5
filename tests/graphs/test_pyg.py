"""To PyTorch Geometric and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from torch_geometric.data import Batch, Data

from hydrasurr.graphs import GraphTable
from hydrasurr.graphs.pyg import from_pyg, to_pyg
from tests.molecules import HARD
from tests.tables import assert_same_table, graph_tables, molecule_table, unpack


@given(graph_tables(min_graphs=1))
def test_there_and_back(table: GraphTable) -> None:
    assert_same_table(from_pyg(to_pyg(table), directed=table.directed), table)


def test_molecules_there_and_back(real_smiles: list[str]) -> None:
    table = molecule_table([*real_smiles[:50], *HARD.values()])
    assert_same_table(from_pyg(to_pyg(table), directed=False), table)


@given(graph_tables())
def test_each_graph_has_the_same_edges(table: GraphTable) -> None:
    graphs = to_pyg(table)
    assert len(graphs) == len(table)
    for data, graph in zip(graphs, unpack(table), strict=True):
        edges = list(zip(graph["edges"], map(tuple, graph["edge_attr"]), strict=True))
        if not table.directed:
            edges += [((b, a), kind) for (a, b), kind in edges]
        found = zip(map(tuple, data.edge_index.T.tolist()), map(tuple, data.edge_attr.tolist()), strict=True)
        assert sorted(found) == sorted(edges)
        assert data.num_nodes == graph["nodes"]
        assert data.x.tolist() == graph["x"]
        assert data.node_y.tolist() == graph["node_y"]
        assert data.row.tolist() == graph["row"]
        assert data.edge_index.dtype == torch.int64
        np.testing.assert_array_equal(data.y, graph["y"])


def test_pyg_batches_the_graphs(real_smiles: list[str]) -> None:
    table = molecule_table(real_smiles[:20])
    batch = Batch.from_data_list(to_pyg(table))
    assert batch.num_graphs == 20
    assert batch.y.shape == (20, 2)
    assert batch.row.tolist() == table.columns["row"].tolist()
    assert batch.smiles == table.smiles()
    np.testing.assert_array_equal(batch.ptr, table.node_offset)
    np.testing.assert_array_equal(batch.x, table.x)
    degrees = torch.bincount(batch.edge_index[1], minlength=batch.num_nodes)
    np.testing.assert_array_equal(degrees, table.in_degrees())
    assert batch.is_undirected()


def test_changing_a_graph_leaves_the_table_alone() -> None:
    table = molecule_table(["CCO"])
    before = table.x.copy()
    to_pyg(table)[0].x.zero_()
    np.testing.assert_array_equal(table.x, before)


def ring(size: int = 4, **attributes: object) -> Data:
    nodes = torch.arange(size)
    one_way = torch.stack([nodes, nodes.roll(-1)])
    return Data(
        x=torch.ones(size, 1, dtype=torch.uint8), edge_index=torch.cat([one_way, one_way.flip(0)], 1), **attributes
    )


@pytest.mark.parametrize("y", [torch.tensor([2.0]), torch.tensor([1.0, 2.0]), torch.tensor(3.0), torch.ones(1, 2)])
def test_graph_targets_of_any_shape_become_rows(y: torch.Tensor) -> None:
    table = from_pyg([ring(y=y), ring(5, y=y)])
    np.testing.assert_array_equal(table.y, np.tile(y.reshape(1, -1), (2, 1)))


def test_flat_node_targets_become_a_column() -> None:
    table = from_pyg([ring(node_y=torch.arange(4.0)), ring(2, node_y=torch.arange(2.0))])
    assert table.columns["node_y"].tolist() == [[0], [1], [2], [3], [0], [1]]


def test_unknown_attributes_stay_behind() -> None:
    assert set(from_pyg([ring(pos=torch.zeros(4, 3))]).columns) == {"x"}


def test_undirected_keeps_half_of_the_edges() -> None:
    data = ring(edge_attr=torch.tensor([[1], [2], [3], [4]] * 2, dtype=torch.uint8))
    both, half = from_pyg([data]), from_pyg([data], directed=False)
    assert (both.num_edges, half.num_edges) == (8, 4)
    assert (both.directed, half.directed) == (True, False)
    np.testing.assert_array_equal(both.in_degrees(), half.in_degrees())
    assert_same_table(from_pyg(to_pyg(half), directed=True), both)


def test_refuses_what_cannot_be_undirected() -> None:
    with pytest.raises(ValueError, match="graph 1 does not list its edges one way and then reversed"):
        from_pyg([ring(), ring().sort()], directed=False)
    odd = ring()
    odd.edge_index = odd.edge_index[:, 1:]
    with pytest.raises(ValueError, match="one way and then reversed"):
        from_pyg([odd], directed=False)
    two_kinds = ring(edge_attr=torch.arange(8, dtype=torch.uint8)[:, None])
    with pytest.raises(ValueError, match="'edge_attr' of graph 0 differs between the two directions"):
        from_pyg([two_kinds], directed=False)


def test_refuses_graphs_that_differ() -> None:
    with pytest.raises(ValueError, match="no graphs"):
        from_pyg([])
    with pytest.raises(ValueError, match="graph 1 has no 'y', graph 0 has"):
        from_pyg([ring(y=torch.ones(1)), ring()])
    with pytest.raises(ValueError, match="graph 1 has no 'smiles', graph 0 has"):
        from_pyg([ring(smiles="C"), ring()])


def test_edge_index_is_as_narrow_as_the_largest_node_allows() -> None:
    assert from_pyg([ring(256)]).edge_index.dtype == np.uint8
    assert from_pyg([ring(257)]).edge_index.dtype == np.uint16


def test_empty_table() -> None:
    assert to_pyg(molecule_table([])) == []
    lone = replace(molecule_table(["[He]"]), directed=True)
    assert_same_table(from_pyg(to_pyg(lone)), lone)
