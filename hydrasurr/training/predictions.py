"""Predictions of a split beside the labels, kept for parity plots."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch.distributed as dist

from hydrasurr.files import replacing
from hydrasurr.launcher import Ranks
from hydrasurr.training.tasks import Comparison, Task
from hydrasurr.training.tasks.base import Batch

KEPT = 20_000
"""Graphs of a split that are kept; of a larger one every n-th."""


class Collector:
    """A visitor of `evaluate` that keeps predictions of about KEPT graphs, or atoms.

    `sizes` tells the graphs and the nodes of the split: `{"graph": 100, "node": 900}`.
    """

    def __init__(self, task: Task, sizes: Mapping[str, int]):
        self._strides = {target.name: _stride(sizes[target.level]) for target in task.targets}
        self._parts: dict[str, list[np.ndarray]] = {name: [] for name in self._strides}

    def __call__(self, batch: Batch, compared: list[Comparison]) -> None:
        names = iter(self._parts)
        for values, labels, stds in ((c.values, c.labels, c.uncertainty) for c in compared):
            std = values.new_full(values.shape, np.nan) if stds is None else stds
            for column, name in zip(range(labels.shape[1]), names, strict=False):
                kept = slice(None, None, self._strides[name])
                rows = [t[kept, column].double().cpu().numpy() for t in (labels, values, std)]
                self._parts[name].append(np.stack(rows))

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
            merged = {name: np.concatenate([share[name] for share in shares], axis=1) for name in own}
            with replacing(path) as temporary, temporary.open("wb") as file:  # by a name, NumPy would add .npz to it
                np.savez_compressed(file, **merged)


def _stride(size: int) -> int:
    """Keep every n-th; n no multiple of 3, or of vectors one component alone would be kept."""
    stride = -(-size // KEPT)
    return stride + (stride % 3 == 0)
