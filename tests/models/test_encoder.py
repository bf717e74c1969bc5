from __future__ import annotations

import pytest
import torch
from torch.nn.functional import one_hot

from hydrasurr.loading.batch import GraphBatch
from hydrasurr.models import encoder
from hydrasurr.models.encoder import CategoricalEncoder, EdgeEncoder


def test_sum_of_one_embedding_a_feature():
    sizes = (5, 2, 256)
    layer = CategoricalEncoder(sizes, 7)
    codes = torch.stack([torch.randint(0, size, (40,)) for size in sizes], 1)
    tables = layer.weight.split(sizes)
    expected = sum(table[codes[:, i]] for i, table in enumerate(tables))
    torch.testing.assert_close(layer(codes.to(torch.uint8)), expected)

    hot = torch.cat([one_hot(codes[:, i], size) for i, size in enumerate(sizes)], 1).float()
    seed = torch.randn(40, 7)
    (grad,) = torch.autograd.grad(layer(codes.to(torch.uint8)), layer.weight, seed)
    torch.testing.assert_close(grad, hot.T @ seed)


@pytest.mark.parametrize("codes", [[5, 0], [0, 2], [255, 255]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_code_outside_the_schema_raises(codes, dtype):
    with pytest.raises(RuntimeError):
        CategoricalEncoder((5, 2), 3).to(dtype)(torch.tensor([codes], dtype=torch.uint8))


@pytest.mark.parametrize("num_graphs", [1, 60])
@pytest.mark.parametrize("max_table", [1, 1024])
def test_edges_of_table_and_code_equal_embeddings(graphs, monkeypatch, num_graphs, max_table):
    monkeypatch.setattr(encoder, "MAX_TABLE", max_table)
    batch = GraphBatch.from_table(graphs.random_table(1, num_graphs=num_graphs))
    layer = EdgeEncoder(graphs.schema.edge_sizes, 6)
    edges = layer(batch)
    expected = sum(
        table[batch.edge_attr[:, i].long()]
        for i, table in enumerate(layer.encoder.weight.split(graphs.schema.edge_sizes))
    )
    assert len(edges.table) == (12 if max_table > 1 and num_graphs > 1 else batch.num_edges)
    torch.testing.assert_close(edges.features, expected)


@pytest.mark.parametrize("code", [(4, 0), (0, 3), (0, 255)])
def test_an_edge_code_outside_the_schema_raises(graphs, code):
    batch = GraphBatch.from_table(graphs.random_table(1, num_graphs=60))
    batch.edge_attr[5] = torch.tensor(code, dtype=torch.uint8)
    edges = EdgeEncoder(graphs.schema.edge_sizes, 6)(batch)
    with pytest.raises((RuntimeError, IndexError)):
        _ = edges.features
    with pytest.raises(RuntimeError):
        edges.messages(torch.zeros(batch.num_nodes, 6), edges.table)
