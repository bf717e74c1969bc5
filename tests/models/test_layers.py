"""The other layers against PyG's own on the graphs in their natural order."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch_geometric import nn as pyg

from hydrasurr.loading.batch import GraphBatch
from hydrasurr.models.config import ModelConfig
from hydrasurr.models.edges import Edges
from hydrasurr.models.encoder import EdgeEncoder

WIDTH = 6


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))


REFERENCES = [
    ({"type": "GIN"}, True, lambda: pyg.GINEConv(mlp(), train_eps=True, edge_dim=4)),
    ({"type": "GIN", "train_eps": False}, False, lambda: pyg.GINConv(mlp())),
    ({"type": "GraphSAGE"}, False, lambda: pyg.SAGEConv(WIDTH, WIDTH)),
    ({"type": "GraphSAGE", "aggregator": "max"}, False, lambda: pyg.SAGEConv(WIDTH, WIDTH, aggr="max")),
    ({"type": "GATv2", "heads": 3}, True, lambda: pyg.GATv2Conv(WIDTH, WIDTH, heads=3, concat=False, edge_dim=4)),
    ({"type": "GATv2"}, False, lambda: pyg.GATv2Conv(WIDTH, WIDTH, heads=4, concat=False)),
    ({"type": "CGCNN"}, True, lambda: pyg.CGConv(WIDTH, dim=4)),
    ({"type": "CGCNN"}, False, lambda: pyg.CGConv(WIDTH)),
    ({"type": "MFC"}, False, lambda: pyg.MFConv(WIDTH, WIDTH, max_degree=6)),
    ({"type": "MFC", "max_degree": 2}, False, lambda: pyg.MFConv(WIDTH, WIDTH, max_degree=2)),
]


@pytest.mark.parametrize(("conv", "edge_features", "make"), REFERENCES)
def test_equals_pyg_in_the_order_of_the_table(graphs, conv, edge_features, make):
    torch.manual_seed(0)
    table = graphs.random_table(2, num_graphs=20)
    batch = GraphBatch.from_table(table)
    config = ModelConfig.model_validate({"conv": conv}).conv
    layer = config.build(WIDTH, torch.tensor(batch.degree_counts), 4 if edge_features else None).double()
    reference = make().double()
    layer.conv.load_state_dict(reference.state_dict())

    h = torch.randn(table.num_nodes, WIDTH, dtype=torch.float64)
    edge_index, edge_attr = graphs.natural_edges(table)
    edges, arguments = Edges(batch), []
    if edge_features:
        encoder = EdgeEncoder(graphs.schema.edge_sizes, 4).double()
        edges, arguments = encoder(batch), [encoder.encoder(edge_attr)]
    got = batch.in_table_order(layer(h[batch.node_order], edges))
    torch.testing.assert_close(got, reference(h, edge_index, *arguments))
