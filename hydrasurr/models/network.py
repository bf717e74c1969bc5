"""The network: encoder, message passing, pooling, heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hydrasurr.graphs.schema import FeatureSchema, Target
from hydrasurr.loading.batch import GraphBatch
from hydrasurr.models.config import ModelConfig
from hydrasurr.models.edges import Edges
from hydrasurr.models.encoder import CategoricalEncoder, EdgeEncoder
from hydrasurr.models.heads import build_heads
from hydrasurr.models.mlp import ACTIVATIONS
from hydrasurr.models.pooling import pool


@dataclass(frozen=True)
class Prediction:
    """Outputs in standard deviations from the mean of each target; None for a level without targets.

    `graph` is `[G, graph targets]`, `node` `[N, node targets]` in the batch's node order; the log variances have
    the same shapes and are None unless the model has Gaussian heads.
    """

    graph: Tensor | None
    node: Tensor | None
    graph_log_variance: Tensor | None = None
    node_log_variance: Tensor | None = None


@dataclass(frozen=True)
class Physical:
    """float64 values in the targets' units, shaped as in Prediction, and their standard deviations if known."""

    graph: Tensor | None
    node: Tensor | None
    graph_std: Tensor | None = None
    node_std: Tensor | None = None


class NodeBatchNorm(nn.BatchNorm1d):
    """Batch normalisation over nodes that passes a batch of a single node, which has no variance."""

    def forward(self, h: Tensor) -> Tensor:
        if self.training and len(h) == 1:
            return nn.functional.batch_norm(h, self.running_mean, self.running_var, self.weight, self.bias)
        return super().forward(h)


NORMS = {"batch": NodeBatchNorm, "layer": nn.LayerNorm, "none": nn.Identity}


class GraphNetwork(nn.Module):
    """A graph neural network for several targets.

    Parameters
    ----------
    config : its shape
    schema : what the codes of its input mean
    targets : what it predicts; the columns of predictions of each level are in this order
    mean, std : `[T]`, of each target over the training split, in its unit; kept in the model as float64
    degree_histogram : `degree_histogram[d]` nodes of the training split have in-degree d

    Attributes
    ----------
    graph_targets, node_targets : positions in `targets` of those of each level
    """

    def __init__(
        self,
        config: ModelConfig,
        schema: FeatureSchema,
        targets: Sequence[Target],
        mean: np.ndarray | Tensor | Sequence[float],
        std: np.ndarray | Tensor | Sequence[float],
        degree_histogram: np.ndarray | Tensor | Sequence[int],
    ) -> None:
        super().__init__()
        self.config, self.schema, self.targets = config, schema, tuple(targets)
        self.degree_histogram = torch.as_tensor(degree_histogram, dtype=torch.int64)
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float64))
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float64))
        self.graph_targets = [i for i, target in enumerate(self.targets) if target.level == "graph"]
        self.node_targets = [i for i, target in enumerate(self.targets) if target.level == "node"]
        for level in ("graph", "node"):  # as tensors, since a list would be copied to a GPU at every use
            columns = torch.tensor(getattr(self, f"{level}_targets"), dtype=torch.int64)
            self.register_buffer(f"{level}_columns", columns, persistent=False)

        width, conv = config.hidden, config.conv
        with_edge_features = config.edge_features and conv.takes_edge_features and len(schema.edges) > 0
        self.node_encoder = CategoricalEncoder(schema.node_sizes, width)
        self.edge_encoder = EdgeEncoder(schema.edge_sizes, width) if with_edge_features else Edges
        edge_dim = width if with_edge_features else None
        self.convs = nn.ModuleList(conv.build(width, self.degree_histogram, edge_dim) for _ in range(config.layers))
        self.norms = nn.ModuleList(NORMS[config.norm](width) for _ in range(config.layers))
        self.activation = ACTIVATIONS[config.activation]()
        self.dropout = nn.Dropout(config.dropout)
        self.graph_heads = build_heads(config, width * len(config.pooling), self.graph_targets, shared=True)
        self.node_heads = build_heads(config, width, self.node_targets, shared=False)

    @property
    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def dtype(self) -> torch.dtype:
        """The floating type of the weights."""
        return self.node_encoder.weight.dtype

    def embed(self, batch: GraphBatch) -> Tensor:
        """Features of nodes, `[N, hidden]` in the batch's order. Raises RuntimeError for codes beyond the schema."""
        h = self.node_encoder(batch.x)
        edges = self.edge_encoder(batch)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            update = self.dropout(self.activation(norm(conv(h, edges))))
            h = h + update if self.config.residual else update
        return h

    def forward(self, batch: GraphBatch) -> Prediction:
        """Predict a batch. Raises RuntimeError if it holds codes that the schema does not have."""
        h = self.embed(batch)
        with torch.autocast(h.device.type, enabled=False):  # the last digits count in what is regressed
            h = h.to(self.dtype)
            graph, graph_log_variance = self.graph_heads(pool(h, batch, self.config.pooling))
            node, node_log_variance = self.node_heads(h)
        return Prediction(graph, node, graph_log_variance, node_log_variance)

    def standardise(self, labels: Tensor | None, level: str) -> Tensor | None:
        """Labels of a level in the targets' units to standard deviations from the mean, float64."""
        if labels is None:
            return None
        columns = self._columns(level)
        return (labels.double() - self.mean[columns]) / self.std[columns]

    def physical(self, prediction: Prediction) -> Physical:
        """Predictions in the targets' units."""
        return Physical(
            self._values(prediction.graph, "graph"),
            self._values(prediction.node, "node"),
            self._spread(prediction.graph_log_variance, "graph"),
            self._spread(prediction.node_log_variance, "node"),
        )

    def _columns(self, level: str) -> Tensor:
        return self.graph_columns if level == "graph" else self.node_columns

    def _values(self, standardised: Tensor | None, level: str) -> Tensor | None:
        columns = self._columns(level)
        return None if standardised is None else standardised.double() * self.std[columns] + self.mean[columns]

    def _spread(self, log_variance: Tensor | None, level: str) -> Tensor | None:
        columns = self._columns(level)
        return None if log_variance is None else (log_variance.double() / 2).exp() * self.std[columns]
