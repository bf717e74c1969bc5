"""How actions are chosen by what a network says of them."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from hydrasurr.rl.policy.network import Choice
from hydrasurr.rl.policy.segments import segment_argmax, segment_sample, segment_sum


class Chooser(Protocol):
    """Chooses an action for each molecule."""

    def __call__(self, choice: Choice, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """int64 `[B]`: where among all `K` actions they are; float `[B]`: the logarithms of their probabilities."""


def draw(choice: Choice, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Chooser: by the probabilities of the policy."""
    log_probability = choice.log_probability
    place = segment_sample(log_probability, choice.molecule, len(choice.value), random)
    return place, log_probability[place]


class EpsilonGreedy:
    """Chooser: the action of the highest value, but with probability `epsilon` any one, all alike likely."""

    def __init__(self, epsilon: float):
        self.epsilon = epsilon

    def __call__(self, choice: Choice, random: torch.Generator) -> tuple[Tensor, Tensor]:
        molecule, count = choice.molecule, len(choice.value)
        best = segment_argmax(choice.action_value, molecule, count)
        alike = -segment_sum(torch.ones_like(choice.score), molecule, count).log()
        anyone = segment_sample(alike[molecule], molecule, count, random)
        explores = torch.rand(count, generator=random).to(best.device) < self.epsilon
        place = torch.where(explores, anyone, best)
        probability = self.epsilon * alike.exp() + (1 - self.epsilon) * (place == best)
        return place, probability.log()
