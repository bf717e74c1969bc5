"""Segments against one softmax at a time."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from hydrasurr.rl.policy.segments import (
    segment_argmax,
    segment_entropy,
    segment_log_softmax,
    segment_max,
    segment_sample,
    segment_sum,
)


def cut(counts: list[int], seed: int) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Random scores end to end, their segments, and the scores of each."""
    scores = torch.from_numpy(np.random.default_rng(seed).normal(scale=30, size=sum(counts)))
    return scores, torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)), list(scores.split(counts))


segments = st.builds(cut, st.lists(st.integers(1, 6), min_size=1, max_size=8), st.integers(0, 10_000))


@given(segments)
def test_one_segment_at_a_time(case: tuple[Tensor, Tensor, list[Tensor]]) -> None:
    scores, segment, parts = case
    count = len(parts)
    log_p = segment_log_softmax(scores, segment, count)
    torch.testing.assert_close(log_p, torch.cat([part.log_softmax(0) for part in parts]))
    expected = torch.stack([torch.distributions.Categorical(logits=part).entropy() for part in parts])
    torch.testing.assert_close(segment_entropy(log_p, segment, count), expected)
    torch.testing.assert_close(segment_max(scores, segment, count), torch.stack([part.max() for part in parts]))
    torch.testing.assert_close(segment_sum(scores, segment, count), torch.stack([part.sum() for part in parts]))
    starts = torch.tensor([0, *(len(part) for part in parts)]).cumsum(0)[:-1]
    expected = starts + torch.stack([part.argmax() for part in parts])
    torch.testing.assert_close(segment_argmax(scores, segment, count), expected)


@given(segments)
def test_gradients(case: tuple[Tensor, Tensor, list[Tensor]]) -> None:
    scores, segment, parts = case
    scores = (scores / 30).requires_grad_()
    weights = torch.linspace(-1, 1, len(scores), dtype=torch.float64)
    (segment_log_softmax(scores, segment, len(parts)) * weights).sum().backward()
    found, scores.grad = scores.grad, None
    one_by_one = [part.log_softmax(0) for part in scores.split([len(part) for part in parts])]
    (torch.cat(one_by_one) * weights).sum().backward()
    torch.testing.assert_close(found, scores.grad)


def test_draws_have_their_probabilities() -> None:
    p = torch.tensor([0.2, 0.5, 0.3, 1.0, 0.0, 0.6, 0.4], dtype=torch.float64)
    segment, generator = torch.tensor([0, 0, 0, 1, 2, 2, 2]), torch.Generator().manual_seed(0)
    drawn = torch.stack([segment_sample(p.log(), segment, 3, generator) for _ in range(4000)])
    counts = torch.bincount(drawn.flatten(), minlength=7).numpy()
    assert counts[4] == 0 and counts[3] == 4000
    for part in (slice(0, 3), slice(5, 7)):
        assert chisquare(counts[part], 4000 * p[part].numpy()).pvalue > 0.01
