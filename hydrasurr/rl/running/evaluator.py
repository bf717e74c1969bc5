"""Plays whole episodes with the newest policy, beside the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.environment.actions import NOTHING
from hydrasurr.rl.environment.episodes import Episodes
from hydrasurr.rl.environment.molecules import Molecules
from hydrasurr.rl.environment.smiles import to_smiles
from hydrasurr.rl.executors.pool import Result, TaskRun
from hydrasurr.rl.policy.choosing import Chooser
from hydrasurr.rl.policy.network import ActionNetwork
from hydrasurr.rl.policy.observation import Observation
from hydrasurr.rl.rewards.history import History
from hydrasurr.rl.rewards.scores import uniqueness
from hydrasurr.rl.rewards.service import BudgetSpent
from hydrasurr.rl.running.config import DesignConfig
from hydrasurr.rl.running.rewards import NodeRewards
from hydrasurr.rl.running.weights import Weights
from hydrasurr.rl.scheduling.tasks import Task

SEED = 1_000_003
"""Of evaluations, so that they do not repeat what lanes draw."""
MOST_ASKED = 4
"""Evaluations that may wait for the evaluator, each with weights of its own."""


class Episode(NamedTuple):
    """What whole episodes ended with: molecules, float64 `[B]` what they are worth, int64 `[B]` their actions."""

    molecules: Molecules
    objective: np.ndarray
    length: np.ndarray


def play_to_the_end(episodes: Episodes, network: ActionNetwork, choose: Chooser, seed: int) -> Episode:
    """One episode of each molecule; those that have ended wait for the others."""
    import torch

    random = torch.Generator().manual_seed(seed)
    episodes.seed(seed)
    episodes.reset()
    going = np.ones(len(episodes), bool)
    objective, length = np.full(len(episodes), np.nan), np.zeros(len(episodes), np.int64)
    with torch.no_grad():
        while going.any():
            chosen = np.flatnonzero(going)
            molecules = episodes.molecules[chosen]
            legal = episodes.actions.legal(molecules)
            place, _ = choose(network(Observation.of(episodes.actions, molecules, legal)), random)
            action = np.full(len(episodes), NOTHING)
            action[chosen] = legal.number[place.numpy()]
            step = episodes.step(action)
            length[chosen] += 1
            ended = going & step.ended
            objective[ended] = step.objective[ended]
            going &= ~step.ended
    return Episode(episodes.molecules.copy(), objective, length)


class Evaluated(NamedTuple):
    """A record, and the molecules that were evaluated on a machine where no learner runs."""

    record: dict[str, Any]
    news: History | None


class Evaluator:
    """Function of a worker: evaluates weights, given with how many frames they have seen."""

    def __init__(self, config: DesignConfig, rewards: NodeRewards):
        self.config, self.rewards = config, rewards
        self._network: ActionNetwork | None = None

    def __call__(self, asked: tuple[Weights, int]) -> Evaluated | None:
        """None: the budget does not suffice for it."""
        weights, frames = asked
        config = self.config
        if self._network is None:
            self._network = ActionNetwork(config.model, config.environment.rules).eval()
            self._episodes = Episodes(config.environment, self.rewards, config.evaluation.molecules, config.seed)
        weights.put_into(self._network)
        try:
            played = play_to_the_end(self._episodes, self._network, config.final_chooser, config.seed + SEED)
        except BudgetSpent:
            return None
        record = {
            "update": weights.version,
            "total_frames": frames,
            "objective": float(played.objective.mean()),
            "objective_std": float(played.objective.std()),
            "best": float(played.objective.max()),
            "length": float(played.length.mean()),
            "unique": uniqueness(to_smiles(played.molecules)),
        }
        return Evaluated(record, self.rewards.news())


class Evaluations:
    """Hands policies to an evaluator, and takes its records when they are there.

    Parameters
    ----------
    tasks : with one worker, an Evaluator
    every : updates between two
    tell : called with what came of each
    """

    def __init__(self, tasks: TaskRun, every: int, tell: Callable[[Evaluated], None]):
        self._tasks, self._every, self._tell = tasks, every, tell
        self._asked = 0
        """Evaluations that have not come back."""

    def offer(self, weights: Weights, frames: int) -> None:
        """These are the newest; evaluate them if it is time to. Waits for an evaluator that is too far behind."""
        if weights.version % self._every == 0:
            while self._asked >= MOST_ASKED:
                self._note(next(iter(self._tasks)))
            self._tasks.add([Task(f"evaluation {weights.version}", (weights, frames))])
            self._asked += 1
        for result in self._tasks.ready_results():
            self._note(result)

    def finish(self) -> None:
        """Wait for those that are not done."""
        for result in self._tasks:
            self._note(result)

    def _note(self, result: Result) -> None:
        self._asked -= 1
        if result.error is not None:
            raise HydrasurrError(f"{result.task.id} failed: {result.error}")
        if result.value is not None:
            self._tell(result.value)
