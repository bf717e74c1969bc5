"""Agents that need not learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hydrasurr.rl.environment.actions import LegalActions
from hydrasurr.rl.environment.episodes import EpisodeConfig, Episodes
from hydrasurr.rl.environment.rules import Rules
from hydrasurr.rl.loop.config import LoopConfig
from hydrasurr.rl.rewards.history import History
from hydrasurr.rl.rewards.service import RewardService


class Walker:
    """Random walks from carbon; every molecule on the way is evaluated."""

    def __init__(self, config: LoopConfig, molecules: int = 24, steps: int = 8, max_atoms: int = 8):
        self.config, self.molecules, self.steps = config, molecules, steps
        self.rules = Rules(elements=("C", "N", "O"), max_atoms=max_atoms, ring_sizes=(5, 6), removal=False)
        self.calls: list[tuple[int, str]] = []

    def __call__(self, round: int, model: Path, folder: Path, seed: int) -> History:
        self.calls.append((round, model.name))
        service = RewardService(self.config.objective_with(model))
        episodes = Episodes(EpisodeConfig(rules=self.rules, reward="dense"), service, self.molecules, seed)
        random = np.random.default_rng(seed)
        episodes.reset()
        for _ in range(self.steps):
            episodes.step(_any(episodes.legal(), random))
        return service.history()


def _any(legal: LegalActions, random: np.random.Generator) -> np.ndarray:
    """An allowed action of each molecule, not to stop if there is another."""
    low = legal.offset[:-1] + (legal.counts > 1)
    return legal.number[random.integers(low, legal.offset[1:])]
