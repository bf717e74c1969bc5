"""The network: encoder, message passing, pooling, heads; predictions come out in physical units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hydrasurr.graphs.schema import FeatureSchema, Target
from hydrasurr.loading.batch import GraphBatch
from hydrasurr.models.config import ModelConfig
from hydrasurr.models.encoder import EdgeEncoder, NodeEncoder
from hydrasurr.models.registry import build_conv

_ACTIVATIONS = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
}
_POOLING = {"mean": "mean", "add": "sum", "max": "amax"}


@dataclass(frozen=True)
class Prediction:
    """Outputs in standard deviations from the mean of each target; None for a level without targets.

    `graph` is `[G, graph targets]`, `node` `[N, node targets]` in the batch's node order; the log variances
    have the same shapes and are None unless the model has a Gaussian head.
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


class GraphNetwork(nn.Module):
    """A graph neural network for several targets.

    Parameters
    ----------
    config : its shape
    schema : what the codes of its input mean
    targets : graph-level ones first
    mean, std : `[T]`, of each target over the training split, in its unit; kept in the model
    degree_histogram : `degree_histogram[d]` nodes of the training split have in-degree d
    """

    def __init__(
        self,
        config: ModelConfig,
        schema: FeatureSchema,
        targets: Sequence[Target],
        mean: np.ndarray | Tensor | Sequence[float],
        std: np.ndarray | Tensor | Sequence[float],
        degree_histogram: Sequence[int] | np.ndarray | Tensor,
    ):
        super().__init__()
        self.config, self.schema, self.targets = config, schema, tuple(targets)
        self.degree_histogram = torch.as_tensor(degree_histogram, dtype=torch.int64)
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float64))
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float64))
        self._graph_targets = sum(target.level == "graph" for target in self.targets)
        width = config.hidden
        self.node_encoder = NodeEncoder(schema.node_sizes, width)
        self.edge_encoder = EdgeEncoder(schema.edge_sizes, width) if config.edge_features else None
        edge_dim = width if config.edge_features else None
        self.convs = nn.ModuleList(
            build_conv(config.conv, width, self.degree_histogram, edge_dim) for _ in range(config.layers)
        )
        norm = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm, "none": lambda _: nn.Identity()}[config.norm]
        self.norms = nn.ModuleList(norm(width) for _ in range(config.layers))
        self.activation = _ACTIVATIONS[config.activation]()
        self.dropout = nn.Dropout(config.dropout)
        self._build_heads()

    def _build_heads(self) -> None:
        config, head = self.config, self.config.head
        outputs = 2 if config.uncertainty == "gaussian" else 1
        shared = head.shared_width or config.hidden
        pooled = config.hidden * len(config.pooling)
        self.shared = self._mlp(pooled, shared, head.shared_layers) if self._graph_targets else nn.Identity()
        into = {"graph": shared if head.shared_layers else pooled, "node": config.hidden}
        width = head.width or config.hidden
        self.heads = nn.ModuleList(
            nn.Sequential(
                self._mlp(into[target.level], width, head.layers),
                nn.Linear(width if head.layers else into[target.level], outputs),
            )
            for target in self.targets
        )

    def _mlp(self, inputs: int, width: int, layers: int) -> nn.Sequential:
        parts: list[nn.Module] = []
        for layer in range(layers):
            parts += [nn.Linear(inputs if layer == 0 else width, width), _ACTIVATIONS[self.config.activation]()]
        return nn.Sequential(*parts)

    @property
    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def dtype(self) -> torch.dtype:
        """The type it computes in."""
        return next(self.parameters()).dtype

    def forward(self, batch: GraphBatch) -> Prediction:
        h = self.node_encoder(batch.x)
        edges = self.edge_encoder(batch) if self.edge_encoder is not None else EdgeEncoder.none(batch)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            out = self.dropout(self.activation(norm(conv(h, edges))))
            h = h + out if self.config.residual else out
        graph_heads, node_heads = self.heads[: self._graph_targets], self.heads[self._graph_targets :]
        graph, graph_log_variance = self._apply_heads(graph_heads, self.shared(self._pool(h, batch)) if graph_heads else h)
        node, node_log_variance = self._apply_heads(node_heads, h)
        return Prediction(graph, node, graph_log_variance, node_log_variance)

    def _pool(self, h: Tensor, batch: GraphBatch) -> Tensor:
        index = batch.graph_index
        pooled = []
        for name in self.config.pooling:
            if name == "max":
                empty = h.new_zeros(batch.num_graphs, h.shape[1])
                pooled.append(
                    empty.scatter_reduce(0, index[:, None].expand_as(h), h, "amax", include_self=False)
                )
                continue
            total = h.new_zeros(batch.num_graphs, h.shape[1]).index_add(0, index, h)
            if name == "mean":
                total = total / torch.bincount(index, minlength=batch.num_graphs).clamp(min=1)[:, None]
            pooled.append(total)
        return torch.cat(pooled, dim=1)

    def _apply_heads(self, heads: nn.ModuleList, features: Tensor) -> tuple[Tensor | None, Tensor | None]:
        if not len(heads):
            return None, None
        outputs = torch.stack([head(features) for head in heads], dim=1)
        if outputs.dtype == torch.bfloat16:  # of autocast; losses and units want more digits
            outputs = outputs.float()
        if outputs.shape[2] == 1:
            return outputs[..., 0], None
        # Bounded, so that a bad batch cannot ask for an infinite or zero variance.
        return outputs[..., 0], 10 * torch.tanh(outputs[..., 1] / 10)

    def _columns(self, level: str) -> slice:
        return slice(self._graph_targets) if level == "graph" else slice(self._graph_targets, None)

    def standardise(self, labels: Tensor | None, level: str) -> Tensor | None:
        """Labels of a level in physical units -> standard deviations from the mean, float64."""
        if labels is None:
            return None
        columns = self._columns(level)
        return (labels.double() - self.mean[columns]) / self.std[columns]

    def physical(self, prediction: Prediction) -> Physical:
        """Standard deviations from the mean -> physical units."""

        def values(standard: Tensor | None, level: str) -> Tensor | None:
            columns = self._columns(level)
            return None if standard is None else standard.double() * self.std[columns] + self.mean[columns]

        def spread(log_variance: Tensor | None, level: str) -> Tensor | None:
            columns = self._columns(level)
            return None if log_variance is None else (log_variance.double() / 2).exp() * self.std[columns]

        return Physical(
            values(prediction.graph, "graph"),
            values(prediction.node, "node"),
            spread(prediction.graph_log_variance, "graph"),
            spread(prediction.node_log_variance, "node"),
        )
