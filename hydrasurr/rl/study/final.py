"""What trained agents end up with: whole episodes, outside of any run."""

from __future__ import annotations

import numpy as np
import torch

from hydrasurr.rl.environment.episodes import Episodes
from hydrasurr.rl.policy.file import read_policy
from hydrasurr.rl.policy.network import ActionNetwork
from hydrasurr.rl.rewards.service import RewardService
from hydrasurr.rl.running.config import DesignConfig
from hydrasurr.rl.running.evaluator import SEED, play_to_the_end
from hydrasurr.rl.running.folder import DesignFolder

AT_ONCE = 64
"""Episodes that are played side by side."""


def final_rewards(folder: DesignFolder, config: DesignConfig, count: int) -> list[float]:
    """The objective of the molecules that `count` episodes of the trained policy end with, all by the same draws."""
    torch.set_num_threads(config.running.threads)
    weights, _ = read_policy(folder.policy)
    network = ActionNetwork(config.model, config.environment.rules).eval()
    network.load_state_dict(weights)
    service = RewardService(config.objective)
    found: list[np.ndarray] = []
    for begin in range(0, count, AT_ONCE):
        episodes = Episodes(config.environment, service, min(AT_ONCE, count - begin))
        found.append(play_to_the_end(episodes, network, config.final_chooser, SEED + begin).objective)
    return np.round(np.concatenate(found), 6).tolist()
