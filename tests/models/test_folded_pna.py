"""Prepared networks, for batches of any size and for small ones, against those they stand for."""

from __future__ import annotations

import pytest
import torch

from hydrasurr.loading.batch import GraphBatch
from hydrasurr.models.folded_pna import FoldedPNA
from hydrasurr.models.small_batch import SmallBatchPNA

EVERYTHING = {
    "type": "PNA",
    "aggregators": ["sum", "max", "var", "mean", "min", "std"],
    "scalers": ["linear", "identity", "inverse_linear", "attenuation", "amplification"],
}


def assert_equal(network, batch):
    folded = FoldedPNA(network)
    small = SmallBatchPNA(folded)
    assert small.takes(batch)
    with torch.no_grad():
        expected = network(batch)
    for way in (folded, small):
        for name, value in vars(way(batch)).items():
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
    assert FoldedPNA.applies(network)
    for part in (table, table[:1], table[5:6]):
        assert_equal(network, GraphBatch.from_table(part))


@pytest.mark.parametrize("activation", ["relu", "silu"])
@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_widths_are_filled_up(graphs, norm, activation):
    """11 features become 16, but for layer norms; what the others hold changes nothing."""
    table = graphs.random_table(3, num_graphs=20)
    network = trained(graphs, table, hidden=11, layers=3, norm=norm, activation=activation, conv=EVERYTHING)
    assert FoldedPNA(network).added == {"batch": 5, "layer": 0}[norm]
    assert_equal(network, GraphBatch.from_table(table))


def test_uncertainty(graphs):
    table = graphs.random_table(1)
    assert_equal(trained(graphs, table, uncertainty="gaussian"), GraphBatch.from_table(table))


def test_what_it_does_not_take(graphs):
    table = graphs.random_table(2, num_graphs=200)
    assert not FoldedPNA.applies(graphs.network(table, conv="GIN"))
    assert not FoldedPNA.applies(graphs.network(table, edge_features=False))
    folded = FoldedPNA(graphs.network(table).eval())
    small = SmallBatchPNA(folded)
    assert small.takes(GraphBatch.from_table(table[:2]))
    assert folded.takes(GraphBatch.from_table(table)) and not small.takes(GraphBatch.from_table(table))


def test_a_degree_that_the_training_data_do_not_have(graphs):
    folded = FoldedPNA(graphs.network(graphs.random_table(2, max_degree=3)).eval())
    for way in (folded, SmallBatchPNA(folded)):
        assert way.takes(GraphBatch.from_table(graphs.random_table(4, max_degree=3)))
        assert not way.takes(GraphBatch.from_table(graphs.random_table(4, max_degree=4)))
