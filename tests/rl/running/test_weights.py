"""Weights on their way: what is read is what was written, whole, also by another process while they change."""

from __future__ import annotations

import multiprocessing
import multiprocessing.shared_memory

import numpy as np
import pytest
import torch

from hydrasurr.rl.environment.rules import Rules
from hydrasurr.rl.policy.network import ActionNetwork
from hydrasurr.rl.running.config import PolicyModelConfig
from hydrasurr.rl.running.weights import SharedWeights, Weights
from tests.rl.running.readers import ENOUGH, read_for_ever

SPAWN = multiprocessing.get_context("spawn")


def test_into_another_network() -> None:
    made = [ActionNetwork(PolicyModelConfig(hidden=8, layers=2), Rules()) for _ in range(2)]
    weights = Weights.of(made[0], 3)
    weights.put_into(made[1])
    for one, other in zip(made[0].state_dict().values(), made[1].state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_another_process_sees_whole_weights_only() -> None:
    """Each version consists of its own number, many times; a reader looks while they are overwritten."""
    shared = SharedWeights(200_000)
    shared.write(Weights(0, np.zeros(shared.size, np.float32)))
    here, there = SPAWN.Pipe()
    reader = SPAWN.Process(target=read_for_ever, args=(shared, there), daemon=True)
    reader.start()
    try:
        assert here.recv() == "going"
        there.close()  # so that the end of the reader is noticed
        version = 0
        while version < 3000 or not here.poll():
            version += 1
            shared.write(Weights(version, np.full(shared.size, version, np.float32)))
        assert here.recv() == "some"
        here.send("enough")
        seen, torn = here.recv()
    finally:
        reader.kill()
        reader.join()
        shared.close()
    assert not torn and len(seen) >= ENOUGH and seen == sorted(seen)


def test_nothing_new() -> None:
    shared = SharedWeights(3)
    shared.write(Weights(5, np.arange(3, dtype=np.float32)))
    assert shared.read(5) is None
    assert shared.read(4).version == 5
    name = shared._memory.name
    shared.close()
    with pytest.raises(FileNotFoundError):
        multiprocessing.shared_memory.SharedMemory(name)
