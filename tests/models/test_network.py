"""What every layer owes the network: symmetry, independence of the batch, gradients, repeatability."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hydrasurr.errors import ConfigError
from hydrasurr.graphs.schema import FeatureSchema, Target
from hydrasurr.graphs.table import concatenate
from hydrasurr.loading.batch import GraphBatch
from hydrasurr.models.config import ModelConfig
from hydrasurr.models.mlp import ACTIVATIONS
from hydrasurr.models.network import GraphNetwork, Prediction
from hydrasurr.models.pooling import pool
from hydrasurr.models.registry import layer_names
from hydrasurr.strict import parse

every_layer = pytest.mark.parametrize("conv", layer_names())
CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def total(prediction: Prediction) -> torch.Tensor:
    parts = (
        prediction.graph,
        prediction.node,
        prediction.graph_log_variance,
        prediction.node_log_variance,
    )
    return sum(part.square().sum() for part in parts if part is not None)


@every_layer
def test_order_of_graphs_nodes_and_bonds_does_not_matter(graphs, conv):
    table = graphs.random_table(0)
    net = graphs.network(table, conv=conv, pooling=["mean", "add", "max"])
    shuffled, graph_order, node_order = graphs.relabelled(table, seed=1)
    a, b = GraphBatch.from_table(table), GraphBatch.from_table(shuffled)
    old, new = net(a), net(b)
    torch.testing.assert_close(new.graph, old.graph[graph_order], **CLOSE)
    old_nodes, new_nodes = a.in_table_order(old.node), b.in_table_order(new.node)
    torch.testing.assert_close(new_nodes, old_nodes[node_order], **CLOSE)


@every_layer
@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_a_molecule_alone_equals_the_molecule_in_a_batch(graphs, conv, norm):
    table = graphs.random_table(0)
    net = graphs.network(table, conv=conv, norm=norm, pooling=["mean", "add", "max"])
    batch = GraphBatch.from_table(table)
    together = net(batch)
    nodes = batch.in_table_order(together.node)
    for g, one in enumerate(table):
        single = GraphBatch.from_table(one)
        alone = net(single)
        torch.testing.assert_close(alone.graph[0], together.graph[g], **CLOSE)
        own = slice(int(table.node_offset[g]), int(table.node_offset[g + 1]))
        torch.testing.assert_close(single.in_table_order(alone.node), nodes[own], **CLOSE)


@every_layer
@pytest.mark.parametrize("edge_features", [True, False])
def test_every_parameter_gets_a_gradient(graphs, conv, edge_features):
    table = graphs.random_table(0, num_graphs=60)
    net = graphs.network(table, conv=conv, edge_features=edge_features, activation="tanh", uncertainty="gaussian")
    total(net.train()(GraphBatch.from_table(table))).backward()
    without = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    # MFC's weights of the neighbours at degree 0 multiply an empty sum.
    assert without == ([f"convs.{i}.conv.lins_l.0.weight" for i in range(2)] if conv == "MFC" else [])


@every_layer
@pytest.mark.parametrize("edge_features", [True, False])
def test_single_atoms(graphs, conv, edge_features):
    """Without any edge the outputs are finite and all parameters still take part, as DDP needs."""
    net = graphs.network(graphs.random_table(0), conv=conv, edge_features=edge_features)
    prediction = net.train()(GraphBatch.from_table(graphs.single_atoms()))
    assert prediction.graph.shape == (5, 2)
    assert prediction.graph.isfinite().all()
    total(prediction).backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


@every_layer
def test_a_batch_of_one_node_trains(graphs, conv):
    net = graphs.network(graphs.random_table(0), conv=conv).train()
    assert net(GraphBatch.from_table(graphs.single_atoms(1))).graph.isfinite().all()


@every_layer
@pytest.mark.parametrize("threads", [1, 2])
def test_repeats_bit_for_bit(graphs, conv, threads):
    """Large enough for torch to split work over threads; what a restart from a checkpoint relies on."""
    table = concatenate([graphs.random_table(seed, num_graphs=60) for seed in range(3)])
    net = graphs.network(table, conv=conv, hidden=55, pooling=["mean", "add", "max"]).float().train()
    batch = GraphBatch.from_table(table)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        runs = []
        for _ in range(2):
            net.zero_grad()
            prediction = net(batch)
            total(prediction).backward()
            runs.append([prediction.graph.detach(), *(p.grad.clone() for p in net.parameters())])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


@every_layer
def test_bf16_autocast_stays_near_and_returns_single_precision(graphs, conv):
    table = graphs.random_table(0, num_graphs=40)
    net = graphs.network(table, conv=conv).float().train()
    batch = GraphBatch.from_table(table)
    exact = net(batch).graph
    with torch.autocast("cpu", torch.bfloat16):
        prediction = net(batch)
    assert prediction.graph.dtype == torch.float32
    total(prediction).backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())
    assert (prediction.graph - exact).abs().max() < 0.1 * exact.abs().max()


@every_layer
def test_weights_round_trip(graphs, conv):
    table = graphs.random_table(0)
    net, other = graphs.network(table, conv=conv), graphs.network(table, seed=1, conv=conv)
    batch = GraphBatch.from_table(table)
    assert not torch.equal(net(batch).graph, other(batch).graph)
    other.load_state_dict(net.state_dict())
    assert torch.equal(net(batch).graph, other(batch).graph)


def test_columns_follow_the_order_of_the_targets(graphs):
    table = graphs.random_table(0)
    net = graphs.network(table, uncertainty="gaussian")
    assert (net.graph_targets, net.node_targets) == ([0, 2], [1])
    prediction = net(GraphBatch.from_table(table))
    physical = net.physical(prediction)
    mean, std = torch.tensor([0.0, 2.0]).double(), torch.tensor([1.0, 3.0]).double()
    torch.testing.assert_close(physical.graph, prediction.graph * std + mean)
    torch.testing.assert_close(physical.graph_std, prediction.graph_log_variance.exp().sqrt() * std)
    torch.testing.assert_close(physical.node, prediction.node * 2 + 1)
    torch.testing.assert_close(physical.node_std, prediction.node_log_variance.exp().sqrt() * 2)
    torch.testing.assert_close(net.standardise(physical.graph, "graph"), prediction.graph)
    torch.testing.assert_close(net.standardise(physical.node, "node"), prediction.node)
    assert net.standardise(None, "graph") is None


@pytest.mark.parametrize("level", ["graph", "node"])
def test_one_level_only(graphs, level):
    table = graphs.random_table(0)
    net = graphs.network(table, targets=(Target("a", level=level), Target("b", level=level)))
    prediction = net(GraphBatch.from_table(table))
    rows = len(table) if level == "graph" else table.num_nodes
    assert getattr(prediction, level).shape == (rows, 2)
    other = "node" if level == "graph" else "graph"
    assert getattr(prediction, other) is None
    assert getattr(net.physical(prediction), other) is None
    total(net.train()(GraphBatch.from_table(table))).backward()
    assert all(p.grad is not None for p in net.parameters())


def test_physical_values_keep_double_precision_of_a_single_precision_model(graphs):
    table = graphs.random_table(0)
    config = ModelConfig(hidden=4, layers=1)
    degrees = GraphBatch.from_table(table).degree_counts
    net = GraphNetwork(config, graphs.schema, [Target("total energy")], [-1e6 - 1 / 3], [1e-3], degrees)
    physical = net.physical(net(GraphBatch.from_table(table)))
    assert physical.graph.dtype == torch.float64
    assert net.mean.item() == -1e6 - 1 / 3


def test_log_variance_is_bounded_and_never_flat(graphs):
    table = graphs.random_table(0)
    net = graphs.network(table, uncertainty="gaussian")
    with torch.no_grad():
        net.graph_heads.targets[0][-1].weight.mul_(1e3)
    log_variance = net(GraphBatch.from_table(table)).graph_log_variance
    assert log_variance.abs().max() <= 10
    log_variance.sum().backward()
    assert net.graph_heads.targets[0][-1].weight.grad.isfinite().all()


def test_pooling_equals_a_loop_over_graphs(graphs):
    table = graphs.random_table(0)
    batch = GraphBatch.from_table(table)
    h = torch.randn(batch.num_nodes, 3, dtype=torch.float64)
    own = [h[batch.graph_index == g] for g in range(len(table))]
    expected = torch.stack([torch.cat([x.max(0).values, x.mean(0), x.sum(0)]) for x in own])
    torch.testing.assert_close(pool(h, batch, ("max", "mean", "add")), expected)


@pytest.mark.parametrize(
    "head", [{"shared_layers": 0}, {"layers": 0}, {"shared_layers": 0, "layers": 0}, {"shared_width": 3, "width": 5}]
)
def test_shapes_of_heads(graphs, head):
    table = graphs.random_table(0)
    net = graphs.network(table, head=head, pooling=["mean", "max"])
    assert net(GraphBatch.from_table(table)).graph.shape == (len(table), 2)
    hidden = [m for m in net.graph_heads.modules() if isinstance(m, nn.Linear) and m.out_features > 1]
    assert len(hidden) == head.get("shared_layers", 1) + 2 * head.get("layers", 1)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_residual_norm_and_activation_wrap_each_layer(graphs, activation):
    """One layer computed by hand from the network's parts."""
    table = graphs.random_table(0)
    for residual in (True, False):
        net = graphs.network(table, layers=1, activation=activation, norm="layer", residual=residual)
        batch = GraphBatch.from_table(table)
        h = net.node_encoder(batch.x)
        update = ACTIVATIONS[activation]()(net.norms[0](net.convs[0](h, net.edge_encoder(batch))))
        h = h + update if residual else update
        torch.testing.assert_close(net(batch).node, net.node_heads(h)[0])


def test_dropout_acts_in_training_only(graphs):
    table = graphs.random_table(0)
    net = graphs.network(table, dropout=0.5, norm="none")
    batch = GraphBatch.from_table(table)
    assert torch.equal(net(batch).graph, net(batch).graph)
    net.train()
    assert not torch.equal(net(batch).graph, net(batch).graph)


def test_a_schema_without_edge_features(graphs):
    table = graphs.random_table(0)
    bare = table.with_columns(edge_attr=np.zeros((table.num_edges, 0), np.uint8))
    schema = FeatureSchema(graphs.schema.nodes, ())
    batch = GraphBatch.from_table(bare)
    net = GraphNetwork(ModelConfig(hidden=4), schema, [Target("a")], [0.0], [1.0], batch.degree_counts)
    assert net(batch).graph.isfinite().all()


def test_number_of_parameters(graphs):
    net = graphs.network(graphs.random_table(0))
    assert net.num_parameters == nn.utils.parameters_to_vector(net.parameters()).numel()


@pytest.mark.parametrize(
    ("conv", "message"),
    [
        ({"type": "GATV2"}, "conv: no layer 'GATV2'; did you mean 'GATv2'?"),
        ({"heads": 2}, "conv: needs a key 'type', one of PNA, GIN"),
        ({"type": "GIN", "heads": 2}, "conv.heads: unknown key"),
        ({"type": "GATv2", "head": 2}, "conv.head: unknown key; did you mean 'heads'?"),
    ],
)
def test_errors_of_the_conv_section_name_key_and_remedy(conv, message):
    with pytest.raises(ConfigError) as error:
        parse(ModelConfig, {"conv": conv}, "run.json")
    assert message in str(error.value)


def test_a_name_alone_takes_the_defaults():
    assert ModelConfig(conv="PNA") == ModelConfig()
    assert ModelConfig.model_validate(ModelConfig(conv="MFC").model_dump(mode="json")).conv.type == "MFC"


def test_every_key_is_documented_in_the_json_schema():
    definitions = ModelConfig.model_json_schema()["$defs"] | {"ModelConfig": ModelConfig.model_json_schema()}
    missing = [
        f"{section}.{key}"
        for section, definition in definitions.items()
        for key, value in definition.get("properties", {}).items()
        if key != "type" and "description" not in value
    ]
    assert missing == []
