"""What a run learns: which targets of the data set, with which weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from hydrasurr.errors import ConfigError, did_you_mean
from hydrasurr.graphs.schema import Target
from hydrasurr.loading.batch import GraphBatch
from hydrasurr.stores.info import DatasetInfo
from hydrasurr.training.config import DataConfig


@dataclass(frozen=True)
class Task:
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
    def choose(cls, info: DatasetInfo, config: DataConfig) -> Task:
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
    def of(cls, targets: Sequence[Target], weights: Sequence[float], info: DatasetInfo) -> Task:
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
        """The columns of the data set that a run needs."""
        labels = [name for name, used in (("y", self.graph_columns), ("node_y", self.node_columns)) if used]
        return ["x", "edge_attr", *labels]

    def labels(self, batch: GraphBatch) -> tuple[Tensor | None, Tensor | None]:
        """float64 `[G, graph targets]` and `[N, node targets]` in physical units, None for a level not learnt."""
        graph = batch.y[:, self.graph_columns] if self.graph_columns else None
        return graph, batch.node_y[:, self.node_columns] if self.node_columns else None
