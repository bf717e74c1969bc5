"""Molecules designed by a trained agent."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.environment.episodes import Episodes
from hydrasurr.rl.environment.molecules import Molecules
from hydrasurr.rl.environment.smiles import to_smiles
from hydrasurr.rl.policy.file import read_policy
from hydrasurr.rl.policy.network import ActionNetwork
from hydrasurr.rl.rewards.service import RewardService
from hydrasurr.rl.running.config import DesignConfig
from hydrasurr.rl.running.evaluator import play_to_the_end
from hydrasurr.rl.running.folder import DesignFolder, write_table
from hydrasurr.strict import parse

if TYPE_CHECKING:
    from torch import Tensor

TOGETHER = 128
"""Episodes played at once."""
TRIES = 20
"""So many times as many episodes as molecules are wanted are played at most."""


def sample(run: Path, count: int, seed: int = 0, out: Path | None = None) -> None:
    """Let an agent design `count` different molecules, and write them as CSV, best first, with what they are worth.

    Tells on standard error if it found fewer.

    Parameters
    ----------
    run : folder of a finished run, or its policy.safetensors
    out : file; None: standard output

    Raises HydrasurrError if there is no agent, or a model of its objective cannot be loaded.
    """
    if out is not None and not out.parent.is_dir():
        raise HydrasurrError(f"no folder '{out.parent}' to write '{out.name}' to")
    weights, config = _read(run)
    service = RewardService(config.objective)
    smiles, episodes = design(weights, config, count, seed)
    if len(smiles) < count:
        asked = f"of the {count:,} different molecules asked for"
        print(f"{asked} the agent designed {len(smiles):,} in {episodes:,} episodes", file=sys.stderr)
    service.ask(smiles)
    best = service.history().top(len(smiles))
    if out is None:
        write_table(sys.stdout, best, service.columns)
    else:
        with out.open("w", newline="") as file:
            write_table(file, best, service.columns)


def design(weights: dict[str, Tensor], config: DesignConfig, count: int, seed: int) -> tuple[list[str], int]:
    """Canonical SMILES of up to `count` different molecules in the order found, and how many episodes were played."""
    network = ActionNetwork(config.model, config.environment.rules).eval()
    network.load_state_dict(weights)
    episodes = Episodes(config.environment, _nothing, min(TOGETHER, TRIES * count), seed)
    found: dict[str, None] = {}
    played = 0
    while len(found) < count and played < TRIES * count:
        drawn = int(np.random.SeedSequence((seed, played)).generate_state(1)[0])
        ended = play_to_the_end(episodes, network, config.final_chooser, drawn)
        found |= dict.fromkeys(to_smiles(ended.molecules))
        played += len(episodes)
    return list(found)[:count], played


def _nothing(molecules: Molecules) -> np.ndarray:
    """Objective of agents that do not learn any more."""
    return np.zeros(len(molecules))


def _read(run: Path) -> tuple[dict[str, Tensor], DesignConfig]:
    path = run
    if run.is_dir():
        path = DesignFolder(run).policy
        if not path.is_file():
            raise HydrasurrError(f"'{run}' has no {path.name}: a run writes it when it has finished; --resume goes on")
    weights, config = read_policy(path)
    return weights, parse(DesignConfig, config, path)
