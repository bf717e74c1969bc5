"""torch.compile against the network as it is: its tracing and differentiation, not the code it would make of them."""

from __future__ import annotations

import pytest
import torch

from hydrasurr.loading.batch import GraphBatch

ALL = ["sum", "max", "var", "mean", "min", "std"]


@pytest.mark.parametrize("conv", [{"type": "PNA", "aggregators": ALL}, "GIN"], ids=["PNA", "GIN"])
def test_a_compiled_network_is_the_network(graphs, conv):
    """Outputs and gradients, for two batches of different sizes."""
    torch._dynamo.reset()
    network = graphs.network(graphs.random_table(3, 20, max_degree=3), conv=conv, layers=1)
    compiled = torch.compile(network, backend="aot_eager", dynamic=True)
    for seed, size in ((3, 20), (4, 12)):
        batch = GraphBatch.from_table(graphs.random_table(seed, size, max_degree=3))
        derivatives = []
        for forward in (network, compiled):
            network.zero_grad()
            prediction = forward(batch)
            values = torch.cat([prediction.graph.flatten(), prediction.node.flatten()])
            values.square().sum().backward()
            derivatives.append([values.detach(), *(p.grad.clone() for p in network.parameters())])
        torch.testing.assert_close(derivatives[1], derivatives[0], rtol=1e-9, atol=1e-9)
