"""Run by two ranks: shards of a replay with unlike priorities, and the importance weights of what is drawn of them."""

from __future__ import annotations

import numpy as np
import torch
import torch.distributed as dist

from hydrasurr.launcher import discover
from hydrasurr.rl.environment.actions import ActionSpace
from hydrasurr.rl.environment.rules import Rules
from hydrasurr.rl.learners.apex import ApeX, ApeXConfig
from hydrasurr.rl.policy.network import ActionNetwork
from hydrasurr.rl.policy.replay import PackedTransitions
from hydrasurr.rl.running.config import PolicyModelConfig
from hydrasurr.training.ranks import process_group

SIZES = 30, 50


def main(rank: int, ranks: int) -> None:
    rules = Rules(max_atoms=4)
    config = ApeXConfig(capacity=200)
    network = ActionNetwork(PolicyModelConfig(hidden=8, layers=1), rules)
    learner = ApeX(config, network, ActionSpace(rules), seed=rank)
    error = np.random.default_rng(rank).exponential(1 + 5 * rank, SIZES[rank])
    learner.replay.add(PackedTransitions.empty(SIZES[rank], 4), error)
    drawn = learner.replay.sample(40)
    found = learner._over_shards(drawn)

    priority = (error + 1e-6) ** config.alpha
    probability = priority[drawn.place] / priority.sum() / ranks  # each shard gives an equal part
    raw = (sum(SIZES) * probability) ** -config.beta
    everyone = [None] * ranks
    dist.all_gather_object(everyone, raw.max())
    np.testing.assert_allclose(found, raw / max(everyone), rtol=1e-10)
    assert found.max() <= 1
    dist.barrier()
    if rank == 0:
        print("equal")


if __name__ == "__main__":
    own = discover()
    with process_group(own, torch.device("cpu")):
        main(own.rank, own.world_size)
