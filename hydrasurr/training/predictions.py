"""Predictions of a split beside the labels, kept for parity plots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch.distributed as dist
from torch import Tensor

from hydrasurr.launcher import Ranks
from hydrasurr.loading import GraphBatch
from hydrasurr.models.network import Physical
from hydrasurr.training.task import Task

KEPT = 20_000
"""Graphs of a split that are kept; of a larger one every n-th."""


class Collector:
    """A visitor of `evaluate` that keeps predictions of about KEPT graphs."""

    def __init__(self, task: Task, graphs: int):
        self._task, self._stride = task, -(-graphs // KEPT)
        self._parts: dict[str, list[np.ndarray]] = {target.name: [] for target in task.targets}

    def __call__(
        self, batch: GraphBatch, predicted: Physical, graph_labels: Tensor | None, node_labels: Tensor | None
    ) -> None:
        names = iter(self._parts)
        for values, stds, labels in (
            (predicted.graph, predicted.graph_std, graph_labels),
            (predicted.node, predicted.node_std, node_labels),
        ):
            for column in range(0 if labels is None else labels.shape[1]):
                std = values.new_full(values.shape, np.nan) if stds is None else stds
                rows = [t[:: self._stride, column].double().cpu().numpy() for t in (labels, values, std)]
                self._parts[next(names)].append(np.stack(rows))

    def save(self, path: Path, ranks: Ranks) -> None:
        """Write `path` (npz): for each target an array `[3, n]` of label, prediction and standard deviation.

        Called by all ranks; rank 0 writes.
        """
        nothing = np.empty((3, 0))
        own = {name: np.concatenate([nothing, *parts], axis=1) for name, parts in self._parts.items()}
        shares = [own]
        if ranks.world_size > 1:
            shares = [None] * ranks.world_size if ranks.is_root else None
            dist.gather_object(own, shares)
        if ranks.is_root:
            path.parent.mkdir(parents=True, exist_ok=True)
            merged = {name: np.concatenate([share[name] for share in shares], axis=1) for name in own}
            np.savez_compressed(path, **merged)
