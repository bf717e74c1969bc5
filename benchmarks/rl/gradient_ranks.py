"""One of the ranks that `communication` starts: a learner, whose gradients are sent in each way."""

from __future__ import annotations

import json
import sys
from collections import Counter

import torch

from benchmarks.molecules import smiles
from benchmarks.rl.communication import MODELS, ways
from hydrasurr.launcher import discover
from hydrasurr.models.config import ModelConfig
from hydrasurr.rl.environment.actions import ActionSpace
from hydrasurr.rl.environment.rules import Rules
from hydrasurr.rl.environment.smiles import from_smiles
from hydrasurr.rl.policy.network import ActionNetwork
from hydrasurr.rl.policy.observation import Observation
from hydrasurr.training.communication import data_parallel
from hydrasurr.training.config import CommunicationConfig
from hydrasurr.training.ranks import process_group
from hydrasurr.training.timing import PhaseTimer

CPU = torch.device("cpu")
STEPS = 3


def measure(models: list[str]) -> None:
    """The first rank writes, as JSON: model -> way -> bytes a step."""
    torch.set_num_threads(1)
    ranks, rules = discover(), Rules()
    molecules = from_smiles(smiles("QM9", 8), rules.max_atoms)
    observation = Observation.of(ActionSpace(rules), molecules)
    found: dict[str, dict[str, int]] = {}
    with process_group(ranks, CPU):
        for name in models:
            found[name] = {way: _bytes(MODELS[name], rules, config, observation) for way, config in ways().items()}
    if ranks.is_root:
        print(json.dumps(found))


def _bytes(model: ModelConfig, rules: Rules, config: CommunicationConfig, observation: Observation) -> int:
    """Of the last of a few steps, in which nothing is set up any more."""
    torch.manual_seed(0)
    sent: Counter[str] = Counter()
    network = data_parallel(ActionNetwork(model, rules), config, PhaseTimer(CPU), sent)
    for _ in range(STEPS):
        sent.clear()
        choice = network(observation)
        (choice.log_probability.sum() + choice.value.sum()).backward()
    return sent.total()


if __name__ == "__main__":
    measure(sys.argv[1:])
