"""Episodes of many molecules at once: the environment without anyone's interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from pydantic import Field

from hydrasurr.rl.environment.actions import STOP, ActionSpace, LegalActions
from hydrasurr.rl.environment.molecules import Molecules
from hydrasurr.rl.environment.rules import Rules
from hydrasurr.rl.environment.starts import StartConfig, load_starts
from hydrasurr.strict import Strict


class Objective(Protocol):
    """What molecules are worth."""

    def __call__(self, molecules: Molecules) -> np.ndarray:
        """float64 `[B]`, finite; more is better."""


class EpisodeConfig(Strict):
    """The `environment` section of a design run."""

    rules: Rules = Rules()
    start: StartConfig = StartConfig()
    max_steps: int = Field(40, ge=1)
    """An episode is over there; it ends earlier if the agent stops."""
    reward: Literal["terminal", "dense"] = "terminal"
    """terminal: the objective of the last molecule, at the end, which max_steps is as good as stopping. dense: at each
    step by how much the objective grew, which adds up to the same but for the objective of the first molecule; after
    max_steps an episode is cut off, and what might have come counts as the agent estimates it."""


@dataclass(frozen=True)
class Step:
    """What one action of each molecule led to.

    Attributes
    ----------
    reward : float64 `[B]`
    terminated : bool `[B]`, the agent stopped, or has its terminal reward
    truncated : bool `[B]`, the episode was cut off at its last step
    objective : float64 `[B]`, of the molecules after the action; NaN where it was not needed
    """

    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    objective: np.ndarray

    @property
    def ended(self) -> np.ndarray:
        return self.terminated | self.truncated


@dataclass(frozen=True)
class EpisodeState:
    """Where `B` episodes are.

    Attributes
    ----------
    molecules : the states, a copy
    taken : int64 `[B]`, steps so far
    value : float64 `[B]`, the objective of the states where rewards are dense; else 0
    """

    molecules: Molecules
    taken: np.ndarray
    value: np.ndarray


class Episodes:
    """`B` molecules, each in an episode of its own.

    Attributes
    ----------
    molecules : the present states
    actions : the numbers of actions
    taken : int64 `[B]`, steps of the episode so far
    """

    def __init__(self, config: EpisodeConfig, objective: Objective, count: int, seed: int = 0):
        self.config, self.objective, self.actions = config, objective, ActionSpace(config.rules)
        self._starts = load_starts(config.start, config.rules.max_atoms, seed)
        self._start_value: np.ndarray | None = None
        self.molecules = Molecules.empty(count, config.rules.max_atoms)
        self.taken = np.zeros(count, np.int64)
        self._value = np.zeros(count)
        self.seed(seed)

    def __len__(self) -> int:
        return len(self.molecules)

    def seed(self, seed: int | Sequence[int]) -> None:
        """Draw the starting molecules anew from here on."""
        self._random = np.random.default_rng(seed)

    def reset(self, chosen: np.ndarray | None = None) -> None:
        """Begin new episodes at the places `chosen` (int64 `[K]`), or at all."""
        chosen = np.arange(len(self)) if chosen is None else chosen
        drawn = self._random.integers(len(self._starts), size=len(chosen))
        self.molecules[chosen] = self._starts[drawn]
        self.taken[chosen] = 0
        if self.config.reward == "dense":
            if self._start_value is None:
                self._start_value = self.objective(self._starts)
            self._value[chosen] = self._start_value[drawn]

    def state(self) -> EpisodeState:
        """Where all episodes are, to go on from there later or elsewhere."""
        return EpisodeState(self.molecules.copy(), self.taken.copy(), self._value.copy())

    def restore(self, state: EpisodeState) -> None:
        """Go on from there. Which molecules later episodes start from is a matter of `seed`."""
        self.molecules[:] = state.molecules
        self.taken[:], self._value[:] = state.taken, state.value

    def legal(self) -> LegalActions:
        """The actions that the present states allow."""
        return self.actions.legal(self.molecules)

    def step(self, number: np.ndarray) -> Step:
        """Take one allowed action, by its number, in each molecule, `[B]`. NOTHING lets a step pass.

        Ended episodes wait for `reset`.
        """
        self.actions.apply(self.molecules, number)
        self.taken += 1
        dense = self.config.reward == "dense"
        terminated, over = np.asarray(number) == STOP, self.taken >= self.config.max_steps
        if not dense:  # an episode that has been rewarded as a whole has nothing more to come
            terminated = terminated | over
        truncated = ~terminated & over
        objective, reward = np.full(len(self), np.nan), np.zeros(len(self))
        asked = np.flatnonzero(~terminated if dense else terminated)
        if len(asked):
            objective[asked] = self.objective(self.molecules[asked])
        if dense:
            objective[terminated] = self._value[terminated]
            reward[:] = objective - self._value
            self._value[:] = objective
        else:
            reward[asked] = objective[asked]
        return Step(reward, terminated, truncated, objective)
