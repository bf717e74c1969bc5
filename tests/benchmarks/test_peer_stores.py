"""The stores that hydrasurr is compared with hold the same graphs."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from torch_geometric.data import Batch, Data

from benchmarks.peer_stores import PickleFolder, WideBP, drop_from_memory, size_of, wide_graphs
from hydrasurr.graphs import GraphTable
from hydrasurr.loading import GraphBatch
from tests.tables import molecule_table


@pytest.fixture(scope="module")
def table(real_smiles: list[str]) -> GraphTable:
    return molecule_table(real_smiles[:50]).select(["x", "edge_attr", "y"])


def same(a: Data, b: Data) -> bool:
    return a.keys() == b.keys() and all(
        value.dtype == b[key].dtype and torch.equal(value.nan_to_num(9.0), b[key].nan_to_num(9.0)) for key, value in a
    )


def test_pyg_graphs(table: GraphTable) -> None:
    """As many users have them, and once collated the same as a batch of hydrasurr."""
    batch, ours = Batch.from_data_list(wide_graphs(table)), GraphBatch.from_table(table)
    assert (batch.x.dtype, batch.edge_attr.dtype, batch.y.dtype) == (torch.float32,) * 3
    assert batch.edge_index.dtype == torch.int64
    assert torch.equal(batch.x[ours.node_order], ours.x.float())
    assert torch.equal(batch.y.nan_to_num(9.0), ours.y.float().nan_to_num(9.0))
    source, destination = ours.node_order[ours.edge_index]
    rows = torch.cat([torch.stack([source, destination]).t(), ours.edge_attr.long()], 1)
    expected = torch.cat([batch.edge_index.t(), batch.edge_attr.long()], 1)
    assert sorted(rows.tolist()) == sorted(expected.tolist())


def test_pickles(table: GraphTable, tmp_path: Path) -> None:
    graphs = wide_graphs(table)
    folder = PickleFolder.write(tmp_path / "pickles", graphs)
    files = [folder.file(index) for index in range(len(graphs))]
    drop_from_memory(files)
    assert len(folder) == len(graphs)
    assert all(same(folder[index], graph) for index, graph in enumerate(graphs))
    sizes = [len(pickle.dumps(graph, pickle.HIGHEST_PROTOCOL)) for graph in graphs]
    assert [size_of(file) for file in files] == sizes
    assert size_of(tmp_path) == sum(sizes)


@pytest.mark.parametrize("block", [7, 50])
def test_wide_bp(table: GraphTable, tmp_path: Path, block: int) -> None:
    WideBP.write(tmp_path / "wide.bp", table, block)
    wide = WideBP(tmp_path / "wide.bp")
    graphs = wide_graphs(table)
    assert len(wide) == len(graphs)
    assert all(same(wide[index], graph) for index, graph in enumerate(graphs))
    content = sum(value.nbytes for graph in graphs for _, value in graph)
    assert content < size_of(tmp_path / "wide.bp") < content + 16 * len(graphs) + 20_000
