"""The path for small batches against the network it stands for."""

from __future__ import annotations

import pytest
import torch

from hydrasurr.loading.batch import GraphBatch
from hydrasurr.models.small_batch import SmallBatchPNA

EVERYTHING = {
    "type": "PNA",
    "aggregators": ["sum", "max", "var", "mean", "min", "std"],
    "scalers": ["linear", "identity", "inverse_linear", "attenuation", "amplification"],
}


def assert_equal(network, batch):
    small = SmallBatchPNA(network)
    assert small.takes(batch)
    with torch.no_grad():
        expected = network(batch)
    for name, value in vars(small(batch)).items():
        wanted = getattr(expected, name)
        assert (value is None) == (wanted is None)
        if value is not None:
            torch.testing.assert_close(value, wanted, rtol=1e-10, atol=1e-10)


def trained(graphs, table, **model):
    """A network in evaluation, its running statistics those of a few batches."""
    network = graphs.network(table, **model)
    with torch.no_grad():
        for _ in range(3):
            network.train()(GraphBatch.from_table(table))
    return network.eval()


@pytest.mark.parametrize("conv", ["PNA", EVERYTHING], ids=["default", "everything"])
@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
@pytest.mark.parametrize("directed", [True, False])
def test_equals_the_network(graphs, conv, norm, directed):
    """Degrees 0 to 6, many graphs and one."""
    table = graphs.random_table(3, num_graphs=20, directed=directed)
    assert set(table.in_degrees()) >= {0, 1, 2, 3, 4}
    network = trained(graphs, table, conv=conv, norm=norm, residual=norm != "none", pooling=["mean", "add", "max"])
    assert SmallBatchPNA.applies(network)
    for part in (table, table[:1], table[5:6]):
        assert_equal(network, GraphBatch.from_table(part))


def test_uncertainty(graphs):
    table = graphs.random_table(1)
    assert_equal(trained(graphs, table, uncertainty="gaussian"), GraphBatch.from_table(table))


def test_what_it_does_not_take(graphs):
    table = graphs.random_table(2, num_graphs=200)
    assert not SmallBatchPNA.applies(graphs.network(table, conv="GIN"))
    assert not SmallBatchPNA.applies(graphs.network(table, edge_features=False))
    small = SmallBatchPNA(graphs.network(table).eval())
    assert small.takes(GraphBatch.from_table(table[:2]))
    assert not small.takes(GraphBatch.from_table(table))


def test_a_degree_that_the_training_data_do_not_have(graphs):
    small = SmallBatchPNA(graphs.network(graphs.random_table(2, max_degree=3)).eval())
    assert small.takes(GraphBatch.from_table(graphs.random_table(4, max_degree=3)))
    assert not small.takes(GraphBatch.from_table(graphs.random_table(4, max_degree=4)))
