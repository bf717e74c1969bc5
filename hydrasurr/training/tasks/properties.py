"""Properties of molecules and of their atoms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from hydrasurr.errors import ConfigError, did_you_mean
from hydrasurr.graphs.schema import Target
from hydrasurr.graphs.table import GraphTable
from hydrasurr.loading import GraphBatch
from hydrasurr.models.config import ModelConfig
from hydrasurr.models.ensemble import Ensemble
from hydrasurr.models.network import GraphNetwork, Prediction
from hydrasurr.stores.info import DatasetInfo
from hydrasurr.training.config import DataConfig
from hydrasurr.training.losses import Loss
from hydrasurr.training.metrics import Metrics, MetricSums
from hydrasurr.training.tasks.base import Comparison


@dataclass(frozen=True)
class PropertyTask:
    """The chosen targets, graph-level ones first.

    Attributes
    ----------
    targets, weights, mean, std : one entry a target; mean and std over the training split, in its unit
    graph_columns, node_columns : where the targets of each level are in `y` and `node_y`
    labels_missing : whether some graph of the training split lacks a label
    """

    targets: tuple[Target, ...]
    weights: tuple[float, ...]
    mean: np.ndarray
    std: np.ndarray
    graph_columns: tuple[int, ...]
    node_columns: tuple[int, ...]
    labels_missing: bool

    @classmethod
    def choose(cls, info: DatasetInfo, config: DataConfig) -> PropertyTask:
        """Raises ConfigError for a target the data set lacks, named twice, or without two different labels."""
        known = {target.name: target for target in info.targets}
        chosen = {t.name: t.weight for t in config.targets} if config.targets else dict.fromkeys(known, 1.0)
        if not chosen:
            raise ConfigError(f"the data set '{info.name}' has no targets to learn; name some in its card")
        if config.targets and len(chosen) < len(config.targets):
            raise ConfigError("data.targets: a target is named twice")
        for name in chosen:
            if name not in known:
                hint = did_you_mean(name, known)
                raise ConfigError(f"data.targets: the data set '{info.name}' has no '{name}'{hint}")
        targets = sorted((known[name] for name in chosen), key=lambda target: target.level != "graph")
        task = cls.of(targets, [chosen[target.name] for target in targets], info)
        for target, std in zip(targets, task.std, strict=True):
            if not std > 0:
                raise ConfigError(
                    f"data.targets: '{target.name}' has fewer than two different values in the training split"
                )
        return task

    @classmethod
    def of(cls, targets: Sequence[Target], weights: Sequence[float], info: DatasetInfo) -> PropertyTask:
        """The task of these targets of a data set, graph-level ones first."""
        statistics = dict(zip((target.name for target in info.targets), info.statistics, strict=True))
        size = {"graph": info.graphs["train"], "node": info.nodes["train"]}
        return cls(
            targets=tuple(targets),
            weights=tuple(weights),
            mean=np.array([statistics[target.name].mean for target in targets]),
            std=np.array([statistics[target.name].std for target in targets]),
            graph_columns=tuple(info.graph_targets.index(t) for t in targets if t.level == "graph"),
            node_columns=tuple(info.node_targets.index(t) for t in targets if t.level == "node"),
            labels_missing=any(statistics[t.name].count < size[t.level] for t in targets),
        )

    @property
    def columns(self) -> list[str]:
        labels = [name for name, used in (("y", self.graph_columns), ("node_y", self.node_columns)) if used]
        return ["x", "edge_attr", *labels]

    def prepare(self, table: GraphTable) -> GraphTable:
        return table

    def collate(self, table: GraphTable) -> GraphBatch:
        return GraphBatch.from_table(table)

    def build(self, model: ModelConfig, info: DatasetInfo) -> GraphNetwork:
        return GraphNetwork(model, info.feature_schema, self.targets, self.mean, self.std, info.degree_histogram)

    def combine(self, networks: Sequence[GraphNetwork]) -> Ensemble:
        return Ensemble(networks)

    def predict(self, network: GraphNetwork | Ensemble, batch: GraphBatch) -> Prediction | list[Prediction]:
        return network(batch)

    def standardised(self, network: GraphNetwork, prediction: Prediction, batch: GraphBatch) -> list[Comparison]:
        graph, node = self._labels(batch)
        return _present(
            (prediction.graph, network.standardise(graph, "graph"), prediction.graph_log_variance),
            (prediction.node, network.standardise(node, "node"), prediction.node_log_variance),
        )

    def physical(
        self, network: GraphNetwork | Ensemble, prediction: Prediction | list[Prediction], batch: GraphBatch
    ) -> list[Comparison]:
        graph, node = self._labels(batch)
        values = network.physical(prediction)
        return _present((values.graph, graph, values.graph_std), (values.node, node, values.node_std))

    def _labels(self, batch: GraphBatch) -> tuple[Tensor | None, Tensor | None]:
        """float64 `[G, graph targets]` and `[N, node targets]` in physical units, None for a level not learnt."""
        graph = batch.y[:, self.graph_columns] if self.graph_columns else None
        return graph, batch.node_y[:, self.node_columns] if self.node_columns else None

    def loss(self, kind: str) -> Loss:
        return Loss(kind, self.weights, exact_counts=self.labels_missing)

    def sums(self) -> MetricSums:
        return MetricSums(self.targets, self.mean)

    def score(self, metrics: Metrics, kind: str) -> float:
        """The weighted mean over targets of MAE (RMSE for MSE loss) in standard deviations."""
        key = "rmse" if kind == "mse" else "mae"
        scaled = [
            (weight, metrics[target.name][key] / std)
            for target, weight, std in zip(self.targets, self.weights, self.std, strict=True)
            if metrics[target.name]["count"]
        ]
        return float(sum(w * value for w, value in scaled) / sum(w for w, _ in scaled)) if scaled else math.inf


def _present(*levels: tuple[Tensor | None, Tensor | None, Tensor | None]) -> list[Comparison]:
    return [Comparison(*level) for level in levels if level[1] is not None]
