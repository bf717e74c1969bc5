"""MAE, RMSE and R^2 in physical units, the same for any number of ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from hydrasurr.graphs.schema import Target

if TYPE_CHECKING:
    from hydrasurr.training.tasks.base import Comparison

Metrics = dict[str, dict[str, float]]
"""target -> {"count", "mae", "rmse", "r2"}, NaN where there is no label."""


class MetricSums:
    """Sums over all labels seen, one column a target, from which the metrics follow.

    Sums of float64 over each graph exactly once can be added up over ranks; means could not.

    Parameters
    ----------
    targets : one a column
    reference : `[T]`, a value near each target's mean, subtracted before squaring to keep digits
    """

    def __init__(self, targets: Sequence[Target], reference: np.ndarray):
        self.targets, self._reference = list(targets), torch.as_tensor(reference, dtype=torch.float64)
        self.sums = torch.zeros(5, len(self.targets), dtype=torch.float64)

    def add(self, comparisons: Sequence[Comparison]) -> None:
        """Count a batch: predictions and labels in physical units, whose columns are the targets in order."""
        widths = [comparison.labels.shape[1] for comparison in comparisons]
        parts = [
            self._part(comparison.values, comparison.labels, reference)
            for comparison, reference in zip(comparisons, self._reference.split(widths), strict=True)
        ]
        self.sums = self.sums.to(parts[0].device) + torch.cat(parts, dim=1)

    @staticmethod
    def _part(values: Tensor, labels: Tensor, reference: Tensor) -> Tensor:
        values, labels = values.double(), labels.double()
        mask = ~labels.isnan()
        error = torch.where(mask, values - labels, 0.0)
        shifted = torch.where(mask, labels - reference.to(labels.device), 0.0)
        return torch.stack(
            [mask.double().sum(0), error.abs().sum(0), (error**2).sum(0), shifted.sum(0), (shifted**2).sum(0)]
        )

    def reduce(self) -> MetricSums:
        """Add up over ranks (where there are several) and return self."""
        if dist.is_available() and dist.is_initialized():
            self.sums = self.sums.cpu()
            dist.all_reduce(self.sums)
        return self

    def metrics(self) -> Metrics:
        result = {}
        for target, sums in zip(self.targets, self.sums.T.tolist(), strict=True):
            count, absolute, squared, total, total_squared = sums
            if not count:
                result[target.name] = {"count": 0, "mae": np.nan, "rmse": np.nan, "r2": np.nan}
                continue
            spread = total_squared - total**2 / count
            result[target.name] = {
                "count": int(count),
                "mae": absolute / count,
                "rmse": (squared / count) ** 0.5,
                "r2": 1 - squared / spread if spread > 0 else float("nan"),
            }
        return result
