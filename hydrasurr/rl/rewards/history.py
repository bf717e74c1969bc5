"""What is known of the molecules that were evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Worth:
    """Of `n` molecules.

    Attributes
    ----------
    value : float64 `[n]`, finite: what they are worth
    properties, std : float64 `[n, terms + constraints]`, of the properties of an objective's terms, then of its
        constraints; NaN where there is none
    """

    value: np.ndarray
    properties: np.ndarray
    std: np.ndarray

    def __getitem__(self, chosen: np.ndarray | slice) -> Worth:
        return Worth(self.value[chosen], self.properties[chosen], self.std[chosen])


@dataclass(frozen=True)
class History:
    """Different molecules in the order in which they were evaluated, as PMO counts calls of an oracle.

    Attributes
    ----------
    smiles : canonical SMILES
    worth : of each
    """

    smiles: tuple[str, ...]
    worth: Worth

    def __len__(self) -> int:
        return len(self.smiles)

    def top(self, count: int) -> History:
        """The best molecules, best first; of equal ones the earlier."""
        return self._at(np.argsort(-self.worth.value, kind="stable")[:count])

    def find(self, smiles: Sequence[str]) -> History:
        """Some of the molecules, in this order. Raises KeyError for one that was never evaluated."""
        place = dict(zip(reversed(self.smiles), range(len(self) - 1, -1, -1), strict=True))
        return self._at(np.array([place[text] for text in smiles], np.int64))

    def _at(self, places: np.ndarray) -> History:
        return History(tuple(self.smiles[place] for place in places.tolist()), self.worth[places])


def concatenate(parts: Sequence[Worth]) -> Worth:
    """What several batches of molecules are worth; at least one."""
    return Worth(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("value", "properties", "std")))


def merge(histories: Sequence[History]) -> History:
    """Of several services as one, one after another; of a molecule that several know the first counts."""
    everything = History(
        tuple(text for history in histories for text in history.smiles),
        concatenate([history.worth for history in histories]),
    )
    return everything.find(list(dict.fromkeys(everything.smiles))) if len(histories) > 1 else everything
