"""Steps that are remembered and drawn again by priority."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch

from hydrasurr.rl.environment.molecules import Molecules
from hydrasurr.rl.environment.packed import PackedMolecules, pack
from hydrasurr.rl.maths.priorities import importance, priority
from hydrasurr.rl.maths.sum_tree import SumTree
from hydrasurr.rl.policy.tensors import from_tensors, to_tensors


class _Rows:
    """Dataclasses of columns of one length."""

    def __len__(self) -> int:
        return len(self.action)

    def __getitem__(self, chosen: np.ndarray) -> Self:
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def __setitem__(self, chosen: np.ndarray, other: Self) -> None:
        for field in fields(self):
            getattr(self, field.name)[chosen] = getattr(other, field.name)


@dataclass
class Transitions(_Rows):
    """`n` steps, each over one or several actions.

    Attributes
    ----------
    states : the molecules before
    after : the molecules `steps` later, or where the episode ended
    action : int64 `[n]`, the number of the first action
    reward : float32 `[n]`, the discounted sum of the rewards on the way
    discount : float32 `[n]`, of the value of `after`; 0 where the agent stopped
    """

    states: Molecules
    after: Molecules
    action: np.ndarray
    reward: np.ndarray
    discount: np.ndarray

    def pack(self) -> PackedTransitions:
        """The same in a tenth of the memory, to be kept and sent."""
        return PackedTransitions(pack(self.states), pack(self.after), self.action, self.reward, self.discount)


@dataclass
class PackedTransitions(_Rows):
    """As Transitions, but for the molecules."""

    states: PackedMolecules
    after: PackedMolecules
    action: np.ndarray
    reward: np.ndarray
    discount: np.ndarray

    @classmethod
    def empty(cls, count: int, max_atoms: int) -> PackedTransitions:
        molecules = (PackedMolecules.empty(count, max_atoms) for _ in range(2))
        return cls(*molecules, np.zeros(count, np.int64), np.zeros(count, np.float32), np.zeros(count, np.float32))

    def unpack(self) -> Transitions:
        return Transitions(self.states.unpack(), self.after.unpack(), self.action, self.reward, self.discount)


@dataclass(frozen=True)
class Drawn:
    """A batch of a replay.

    Attributes
    ----------
    transitions : `n` of them
    place : int64 `[n]`, where they are, for `update`
    probability : float64 `[n]`, with which each was drawn
    weight : float64 `[n]`, importance weights, at most 1
    """

    transitions: Transitions
    place: np.ndarray
    probability: np.ndarray
    weight: np.ndarray


class Replay:
    """The last `capacity` transitions; when it is full the oldest make room.

    Parameters
    ----------
    capacity : transitions
    max_atoms : of molecules
    alpha : exponent of priorities; 0: all are drawn alike
    beta : exponent of the importance weights; 1 undoes the choice in full
    seed : of draws
    """

    def __init__(self, capacity: int, max_atoms: int, alpha: float = 0.6, beta: float = 0.4, seed: int = 0):
        self.capacity, self.alpha, self.beta = capacity, alpha, beta
        self._kept = PackedTransitions.empty(capacity, max_atoms)
        self._tree = SumTree(capacity)
        self._added = 0
        self._random = np.random.default_rng(seed)

    def __len__(self) -> int:
        return min(self._added, self.capacity)

    @property
    def added(self) -> int:
        """Transitions ever added."""
        return self._added

    def add(self, transitions: PackedTransitions, error: np.ndarray) -> None:
        """Remember transitions, of which `error` `[n]` says how surprising they were; of too many the last ones."""
        new = np.arange(max(0, len(transitions) - self.capacity), len(transitions))
        place = (self._added + new) % self.capacity
        self._kept[place] = transitions[new]
        self._tree[place] = priority(error[new], self.alpha)
        self._added += len(transitions)

    def sample(self, count: int) -> Drawn:
        """Draw transitions by priority, with repeats. Raises ValueError if there are none."""
        place = self._tree.sample(count, self._random)
        probability = self._tree[place] / self._tree.total
        return Drawn(self._kept[place].unpack(), place, probability, importance(probability, len(self), self.beta))

    def update(self, place: np.ndarray, error: np.ndarray) -> None:
        """Say how surprising drawn transitions are by now."""
        self._tree[place] = priority(error, self.alpha)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values, as many as there are transitions."""
        places = np.arange(len(self))
        return {
            "kept": to_tensors(self._kept[places]),
            "priority": torch.from_numpy(self._tree[places]),
            "added": self._added,
            "random": self._random.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._added = state["added"]
        places = np.arange(len(self))
        self._kept[places] = from_tensors(PackedTransitions, state["kept"])
        self._tree[places] = state["priority"].numpy()
        self._random.bit_generator.state = state["random"]
