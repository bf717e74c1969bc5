"""PNAConv against PyG's, with the same weights."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.nn import PNAConv as Reference

from hydrasurr.errors import ConfigError
from hydrasurr.loading.batch import GraphBatch
from hydrasurr.models.config import ModelConfig
from hydrasurr.models.edges import Edges
from hydrasurr.models.encoder import EdgeEncoder
from hydrasurr.models.pna import PNAConv
from hydrasurr.strict import parse

AGGREGATORS = ("mean", "min", "max", "std")
SCALERS = ("identity", "amplification", "attenuation", "linear")
WIDTH = 5


def compare(graphs, table, aggregators=AGGREGATORS, scalers=SCALERS, edge_features=True):
    """Outputs, gradients of inputs and of all parameters agree to rounding."""
    torch.manual_seed(1)
    batch = GraphBatch.from_table(table)
    histogram = torch.bincount(torch.tensor([0, 1, 1, 1, 2, 3, 3, 4, 4, 4, 5]))
    edge_dim = 4 if edge_features else None
    reference = Reference(WIDTH, WIDTH, list(aggregators), list(scalers), histogram, edge_dim=edge_dim).double()
    ours = PNAConv(WIDTH, aggregators, scalers, histogram, edge_dim).double()
    ours.load_state_dict(reference.state_dict())

    h = torch.randn(table.num_nodes, WIDTH, dtype=torch.float64, requires_grad=True)
    inputs, arguments, edges = [h], [], Edges(batch)
    edge_index, edge_attr = graphs.natural_edges(table)
    if edge_features:
        encoder = EdgeEncoder(graphs.schema.edge_sizes, edge_dim).double()
        edges = encoder(batch)
        arguments = [encoder.encoder(edge_attr)]
        inputs.append(encoder.encoder.weight)
    expected = reference(h, edge_index, *arguments)
    got = batch.in_table_order(ours(h[batch.node_order], edges))
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)

    seed = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, [*inputs, *reference.parameters()], seed)
    grads = torch.autograd.grad(got, [*inputs, *ours.parameters()], seed)
    for one, other in zip(grads, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("edge_features", [True, False])
@pytest.mark.parametrize("directed", [True, False])
def test_equals_pyg_on_degrees_0_to_6(graphs, edge_features, directed):
    table = graphs.random_table(3, num_graphs=40, directed=directed)
    assert set(table.in_degrees()) == set(range(7))
    compare(graphs, table, edge_features=edge_features)


@pytest.mark.parametrize("aggregators", [("std",), ("max", "mean"), ("sum", "var", "min"), ("var", "std", "sum")])
@pytest.mark.parametrize("scalers", [("identity",), ("inverse_linear", "attenuation"), ("linear",)])
def test_equals_pyg_for_any_aggregators_and_scalers(graphs, aggregators, scalers):
    compare(graphs, graphs.random_table(4, num_graphs=20), aggregators, scalers)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), num_graphs=st.integers(1, 8), edge_features=st.booleans())
def test_equals_pyg_on_any_graphs(graphs, seed, num_graphs, edge_features):
    compare(graphs, graphs.random_table(seed, num_graphs), edge_features=edge_features)


def test_edges_of_one_direction_only(graphs):
    """A directed path: sources and destinations of different degree, unlike in molecules."""
    table = graphs.random_table(5, directed=True)
    forward = table.edge_index[0] < table.edge_index[1]
    ends = [int(forward[: int(stop)].sum()) for stop in table.edge_offset]
    table = type(table)(
        {"node": table.node_offset, "edge": torch.tensor(ends).numpy()},
        table.edge_index[:, forward],
        {"x": table.x, "edge_attr": table.edge_attr[forward]},
        directed=True,
    ).validate()
    compare(graphs, table)


def test_fresh_buffers_equal_pyg(graphs):
    histogram = torch.tensor([2, 31, 7, 5, 11])
    state = PNAConv(WIDTH, AGGREGATORS, SCALERS, histogram, 3).state_dict()
    reference = Reference(WIDTH, WIDTH, list(AGGREGATORS), list(SCALERS), histogram, edge_dim=3).state_dict()
    assert {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in reference.items()}
    for name in ("aggr_module.avg_deg_lin", "aggr_module.avg_deg_log"):
        torch.testing.assert_close(state[name], reference[name])


def test_training_data_of_single_atoms_gives_finite_layers(graphs):
    layer = PNAConv(WIDTH, AGGREGATORS, SCALERS, torch.tensor([5]))
    batch = GraphBatch.from_table(graphs.random_table(0))
    assert layer(torch.randn(batch.num_nodes, WIDTH), Edges(batch)).isfinite().all()


def test_names_may_not_repeat():
    with pytest.raises(ConfigError, match=r"conv.aggregators: names must differ"):
        parse(ModelConfig, {"conv": {"type": "PNA", "aggregators": ["mean", "mean"]}}, "run.json")
