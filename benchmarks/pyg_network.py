"""The same network out of PyTorch Geometric's own layers, as its users write it, with the same weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.nn import BatchNorm, PNAConv, global_add_pool, global_max_pool, global_mean_pool

from hydrasurr.models.network import GraphNetwork

POOLS = {"mean": global_mean_pool, "add": global_add_pool, "max": global_max_pool}


class SumOfEmbeddings(nn.Module):
    """One `nn.Embedding` a feature, added up: how OGB's encoders and most PyG examples treat categories."""

    def __init__(self, sizes: Sequence[int], weight: Tensor) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(size, weight.shape[1]) for size in sizes)
        for embedding, rows in zip(self.embeddings, weight.split(list(sizes)), strict=True):
            embedding.weight.data.copy_(rows)

    def forward(self, codes: Tensor) -> Tensor:
        return sum(embedding(codes[:, i]) for i, embedding in enumerate(self.embeddings))


class PyGNetwork(nn.Module):
    """A PNA GraphNetwork with graph-level targets, rebuilt on `torch_geometric.nn`.

    Takes a `torch_geometric.data.Batch` whose `x` and `edge_attr` are int64 codes; returns standardised values
    `[G, targets]`.
    """

    def __init__(self, network: GraphNetwork) -> None:
        super().__init__()
        config, width = network.config, network.config.hidden
        self.residual, self.pooling = config.residual, config.pooling
        self.nodes = SumOfEmbeddings(network.schema.node_sizes, network.node_encoder.weight)
        self.edges = SumOfEmbeddings(network.schema.edge_sizes, network.edge_encoder.encoder.weight)
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        for conv, norm in zip(network.convs, network.norms, strict=True):
            peer = PNAConv(
                width,
                width,
                list(conv.aggregators),
                list(conv.scalers),
                deg=network.degree_histogram,
                edge_dim=width,
            )
            peer.load_state_dict(conv.state_dict())
            self.convs.append(peer)
            peer_norm = BatchNorm(width)
            peer_norm.module.load_state_dict(norm.state_dict())
            self.norms.append(peer_norm)
        shared = network.graph_heads.shared
        self.head = nn.Sequential(*_copies(shared), *_copies(network.graph_heads.targets[0]))

    def forward(self, batch) -> Tensor:
        h, edge_attr = self.nodes(batch.x), self.edges(batch.edge_attr)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            update = torch.relu(norm(conv(h, batch.edge_index, edge_attr)))
            h = h + update if self.residual else update
        # The number of graphs is given, as the loader knows it: else PyG would ask the device for it.
        pooled = [POOLS[kind](h, batch.batch, batch.num_graphs) for kind in self.pooling]
        return self.head(torch.cat(pooled, 1))


def _copies(sequence: nn.Module) -> list[nn.Module]:
    """The linear layers and activations of nested sequences, with copied weights."""
    copies: list[nn.Module] = []
    for module in sequence.modules():
        if isinstance(module, nn.Linear):
            copy = nn.Linear(module.in_features, module.out_features)
            copy.load_state_dict(module.state_dict())
            copies.append(copy)
        elif isinstance(module, nn.ReLU):
            copies.append(nn.ReLU())
    return copies
