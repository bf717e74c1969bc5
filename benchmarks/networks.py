"""The network of the benchmarks and a training step on it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from hydrasurr.graphs import GraphTable, Target, molecule_schema
from hydrasurr.models.config import ModelConfig
from hydrasurr.models.network import GraphNetwork


def pna_network(table: GraphTable, width: int, layers: int = 6, seed: int = 0) -> GraphNetwork:
    """PNA with bond features and one target, sized and scaled by the graphs of `table`, whose `y` it learns."""
    torch.manual_seed(seed)
    histogram = np.bincount(table.in_degrees())
    y = table.columns["y"][:, 0]
    config = ModelConfig(hidden=width, layers=layers)
    return GraphNetwork(config, molecule_schema(), [Target("length")], [y.mean()], [y.std()], histogram)


def batches_of(table: GraphTable, batch_size: int, count: int, seed: int = 0) -> list[GraphTable]:
    """`count` random batches, without replacement within a batch."""
    rng = np.random.default_rng(seed)
    return [table.gather(rng.choice(len(table), batch_size, replace=False)) for _ in range(count)]


class Training:
    """Forward, L1 loss of the standardised target, backward, AdamW.

    `predict` maps a batch to standardised values `[G, 1]`.
    """

    def __init__(self, network: nn.Module, predict: Callable[..., Tensor], reference: GraphNetwork, fused: bool):
        self.network, self.predict = network.train(), predict
        self.mean, self.std = reference.mean.float(), reference.std.float()
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=fused or None)

    def step(self, batch) -> Tensor:
        """Returns the loss, detached."""
        loss = (self.predict(batch) - (batch.y.float() - self.mean) / self.std).abs().mean()
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()


def ours(network: GraphNetwork) -> Training:
    """With the optimizer as hydrasurr's training builds it: fused."""
    return Training(network, lambda batch: network(batch).graph, network, fused=True)


def peers(network: GraphNetwork) -> Training:
    """The same of PyG's layers, with copies of the weights, and the optimizer as it comes."""
    from benchmarks.pyg_network import PyGNetwork

    peer = PyGNetwork(network)
    return Training(peer, peer, network, fused=False)


def pyg_graphs(table: GraphTable) -> list:
    """PyG `Data` with the int64 codes that `nn.Embedding` wants."""
    from hydrasurr.graphs.pyg import to_pyg

    graphs = to_pyg(table)
    for graph in graphs:
        graph.x, graph.edge_attr = graph.x.long(), graph.edge_attr.long()
    return graphs
