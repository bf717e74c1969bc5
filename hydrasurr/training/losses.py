"""The loss of several targets, some labels missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor, nn

if TYPE_CHECKING:
    from hydrasurr.training.tasks.base import Comparison


class Loss(nn.Module):
    """Weighted mean over targets of the mean over present labels, in standardised units.

    `L = sum_t w_t (sum_i m_ti l(p_ti, y_ti) / sum_i m_ti) / sum_t w_t` with m = 1 where there is a label.
    A target without any label in the batch adds nothing. With a Gaussian head,
    `l = (log v + (p - y)^2 / v) / 2`.

    Parameters
    ----------
    kind : "mae", "mse" or "huber" (threshold 1 standard deviation)
    weights : one a target
    exact_counts : with several ranks, divide by the labels of all ranks rather than of each: costs a small
        all-reduce a step, needed for equality with one rank only where labels are missing
    """

    def __init__(self, kind: str, weights: Sequence[float], exact_counts: bool = False):
        super().__init__()
        self.kind, self.exact_counts = kind, exact_counts
        weights = torch.tensor(weights, dtype=torch.float32)
        self.register_buffer("weights", weights / weights.sum())

    def forward(self, comparisons: Sequence[Comparison]) -> Tensor:
        """The loss of standardised predictions and labels, whose columns are the targets in order."""
        errors, masks = [], []
        for values, labels, log_variance in ((c.values, c.labels, c.uncertainty) for c in comparisons):
            mask = ~labels.isnan()
            labels = labels.nan_to_num().to(values.dtype)
            errors.append((self._elementwise(values, labels, log_variance) * mask).sum(0))
            masks.append(mask.sum(0))
        error, count = torch.cat(errors), torch.cat(masks).to(errors[0].dtype)
        if self.exact_counts and dist.is_initialized():
            dist.all_reduce(count)
            count = count / dist.get_world_size()  # DDP averages over ranks, the sum is wanted
        return (self.weights * error / count.clamp(min=1e-12) * (count > 0)).sum()

    def _elementwise(self, values: Tensor, labels: Tensor, log_variance: Tensor | None) -> Tensor:
        if log_variance is not None:
            return (log_variance + (values - labels) ** 2 * torch.exp(-log_variance)) / 2
        match self.kind:
            case "mae":
                return (values - labels).abs()
            case "mse":
                return (values - labels) ** 2
            case _:
                return nn.functional.huber_loss(values, labels, reduction="none")
