"""Choices of actions against the probabilities that they are said to have."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hydrasurr.rl.policy.choosing import EpsilonGreedy, draw
from hydrasurr.rl.policy.network import Choice

SCORES = ([0.5, -1.0, 2.0], [0.0], [1.0, 1.5])
COPIES = 4000


def choice() -> Choice:
    """Many copies of three molecules with three, one and two allowed actions."""
    sizes = torch.tensor([len(scores) for scores in SCORES] * COPIES)
    score = torch.tensor([value for scores in SCORES for value in scores]).repeat(COPIES)
    return Choice(score, torch.zeros(len(sizes)), torch.repeat_interleave(torch.arange(len(sizes)), sizes))


@pytest.mark.parametrize("epsilon", [None, 0.0, 0.3, 1.0])
def test_actions_come_as_often_as_they_should(epsilon: float | None) -> None:
    given = choice()
    chooser = draw if epsilon is None else EpsilonGreedy(epsilon)
    place, log_probability = chooser(given, torch.Generator().manual_seed(0))
    assert torch.equal(given.molecule[place], torch.arange(len(given.value)))
    first = np.cumsum([0, *(len(scores) for scores in SCORES)])
    within = (place.numpy() % first[-1]).reshape(COPIES, len(SCORES)) - first[:-1]
    for k, scores in enumerate(SCORES):
        if epsilon is None:
            expected = np.exp(scores) / np.exp(scores).sum()
        else:
            expected = np.full(len(scores), epsilon / len(scores))
            expected[np.argmax(scores)] += 1 - epsilon
        found = np.bincount(within[:, k], minlength=len(scores)) / COPIES
        np.testing.assert_allclose(found, expected, atol=5 * 0.5 / np.sqrt(COPIES))
        told = log_probability.numpy().reshape(COPIES, len(SCORES))[:, k]
        np.testing.assert_allclose(np.exp(told), expected[within[:, k]], rtol=1e-5)
