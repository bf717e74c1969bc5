"""Softmax and alike within segments of one long vector.

A segment holds the actions of one molecule; segments lie end to end, and none is empty. `segment` is int64 `[K]`, the
segment of each entry (ascending), and `count` the number of segments.
"""

from __future__ import annotations

import torch
from torch import Tensor


def segment_max(values: Tensor, segment: Tensor, count: int) -> Tensor:
    """`[count]`: the largest value of each segment."""
    return values.new_full((count,), -torch.inf).scatter_reduce(0, segment, values, "amax")


def segment_sum(values: Tensor, segment: Tensor, count: int) -> Tensor:
    """`[count]`: the sum of each segment."""
    return values.new_zeros(count).index_add(0, segment, values)


def segment_log_softmax(logits: Tensor, segment: Tensor, count: int) -> Tensor:
    """`[K]`: logarithms of probabilities that add up to 1 in each segment."""
    shifted = logits - segment_max(logits.detach(), segment, count)[segment]
    return shifted - segment_sum(shifted.exp(), segment, count).log()[segment]


def segment_entropy(log_probability: Tensor, segment: Tensor, count: int) -> Tensor:
    """`[count]`: the entropy of each segment, nats."""
    return -segment_sum(log_probability.exp() * log_probability, segment, count)


def segment_argmax(values: Tensor, segment: Tensor, count: int) -> Tensor:
    """int64 `[count]`: where in the long vector the largest value of each segment is, the first of equal ones."""
    largest = values == segment_max(values, segment, count)[segment]
    place = torch.arange(len(values), device=values.device)
    candidates = torch.where(largest, place, len(values))
    return candidates.new_full((count,), len(values)).scatter_reduce(0, segment, candidates, "amin")


def segment_sample(
    log_probability: Tensor, segment: Tensor, count: int, generator: torch.Generator | None = None
) -> Tensor:
    """int64 `[count]`: where in the long vector one entry of each segment is, drawn with its probability.

    The largest of log-probabilities with Gumbel noise; entries of probability 0 are never drawn.
    """
    uniform = torch.rand(log_probability.shape, generator=generator, dtype=torch.float64).to(log_probability.device)
    gumbel = -(-uniform.clamp(min=1e-300).log()).log()
    return segment_argmax(log_probability + gumbel, segment, count)
