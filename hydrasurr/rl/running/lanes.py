"""Lanes: batches of molecules in episodes that go on from rollout to rollout, whoever plays them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hydrasurr.rl.environment.episodes import EpisodeState
from hydrasurr.rl.policy.tensors import from_tensors, to_tensors
from hydrasurr.rl.rewards.history import History
from hydrasurr.rl.running.weights import Weights


@dataclass(frozen=True)
class Lane:
    """All that the next rollout of a lane depends on but the weights of the policy.

    Attributes
    ----------
    number : among all lanes of all learners
    rollouts : so far; with the seed of the run and the number it seeds what the next one draws
    episodes : where they are; None before the first rollout
    """

    number: int
    rollouts: int = 0
    episodes: EpisodeState | None = None

    def seeds(self, seed: int) -> tuple[int, int]:
        """For the molecules that episodes start from, and for the actions of the next rollout."""
        state = np.random.SeedSequence((seed, self.number, self.rollouts)).generate_state(2, np.uint64)
        return int(state[0]), int(state[1] >> 1)  # torch takes seeds below 2^63

    def after(self, episodes: EpisodeState) -> Lane:
        return replace(self, rollouts=self.rollouts + 1, episodes=episodes)

    def state_dict(self) -> dict[str, Any]:
        episodes = None if self.episodes is None else to_tensors(self.episodes)
        return {"number": self.number, "rollouts": self.rollouts, "episodes": episodes}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Lane:
        episodes = state["episodes"]
        given = None if episodes is None else from_tensors(EpisodeState, episodes)
        return cls(state["number"], state["rollouts"], given)


@dataclass(frozen=True)
class Request:
    """What an actor is asked for: the next rollout of a lane.

    Attributes
    ----------
    weights : newer ones than the actor has; None if it has them, or finds them in shared memory
    """

    lane: Lane
    weights: Weights | None = None


@dataclass(frozen=True)
class Played:
    """What came of a rollout.

    Attributes
    ----------
    lane : for the next one
    version : of the weights that it was played by
    content : what the learner's `digest` made of it
    frames : actions
    objective : float64 `[episodes]`, of the molecules with which episodes ended
    length : int64 `[episodes]`, their actions
    seconds : "play", of the network and the environment; "reward", waiting for the objective; "digest"; "load",
        for weights
    actor : its number among those of the learner
    end : when it was done, seconds since 1970
    news : molecules evaluated on a machine where no learner runs
    """

    lane: Lane
    version: int
    content: Any
    frames: int
    objective: np.ndarray
    length: np.ndarray
    seconds: dict[str, float]
    actor: int
    end: float
    news: History | None = None
