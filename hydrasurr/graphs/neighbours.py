"""Pairs of atoms within a cutoff, periodic images included: vesin's neighbour list, with a Verlet skin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from vesin import NeighborList as VesinList

from hydrasurr.errors import StructureError
from hydrasurr.graphs.systems import Systems

FARTHEST = 1e5
"""Angstrom that atoms of a system without a cell may be apart: vesin divides by zero, which ends the process, where a
few fragments are some hundred thousand cutoffs apart."""


@dataclass(frozen=True)
class Pairs:
    """`P` pairs of atoms, each once (a half list), in no particular order.

    Attributes
    ----------
    i, j : int64 `[P]`, atoms, counted over all systems
    shift : int32 `[P, 3]`, cell vectors to add to atom j to get the image that is meant
    vector : float64 `[P, 3]`, from atom i to that image of atom j, Angstrom
    distance : float64 `[P]`, Angstrom
    """

    i: np.ndarray
    j: np.ndarray
    shift: np.ndarray
    vector: np.ndarray
    distance: np.ndarray

    def __len__(self) -> int:
        return len(self.i)

    def within(self, cutoff: float) -> Pairs:
        """The pairs that are no farther apart than `cutoff`."""
        near = self.distance <= cutoff
        return self if near.all() else self.select(near)

    def select(self, chosen: np.ndarray) -> Pairs:
        """Some of the pairs: bool `[P]`, or their positions."""
        return Pairs(self.i[chosen], self.j[chosen], self.shift[chosen], self.vector[chosen], self.distance[chosen])

    def both_directions(self) -> Pairs:
        """Each pair also from j to i, as message passing needs it: a full list, `[2 P]`."""
        return Pairs(
            np.concatenate([self.i, self.j]),
            np.concatenate([self.j, self.i]),
            np.concatenate([self.shift, -self.shift]),
            np.concatenate([self.vector, -self.vector]),
            np.concatenate([self.distance, self.distance]),
        )


class NeighbourList:
    """Finds pairs within a cutoff, each time for the positions as they are then.

    Parameters
    ----------
    cutoff : Angstrom
    skin : Angstrom; with a skin, candidates up to `cutoff + skin` are kept and searched again only once an atom has
        moved by half of it, or the cell has changed. The pairs are the same with any skin.
    threads : of the search
    """

    def __init__(self, cutoff: float, skin: float = 0.0, threads: int = 1):
        if not (0 < cutoff < math.inf and 0 <= skin < math.inf):
            raise ValueError(f"cutoff {cutoff} must be positive, and skin {skin} not negative")
        self.cutoff, self.skin, self.threads = cutoff, skin, threads
        self._lists: list[VesinList] = []

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_lists": []}  # a copy, or another process, searches anew

    def pairs(self, systems: Systems) -> Pairs:
        """The pairs of all systems. Raises StructureError where positions are no finite numbers, or far out."""
        while len(self._lists) < len(systems):
            vesin = VesinList(cutoff=self.cutoff, full_list=False, skin=self.skin, n_threads=self.threads)
            self._lists.append(vesin)
        if len(systems) == 1:
            return self._search(0, systems)
        found = [self._search(s, systems[s]) for s in range(len(systems))]
        if not found:
            nothing = np.empty(0, np.int64)
            return Pairs(nothing, nothing, np.empty((0, 3), np.int32), np.empty((0, 3)), np.empty(0))
        starts = systems.offset[:-1].repeat([len(pairs) for pairs in found])
        i, j, shift, vector, distance = (
            np.concatenate([getattr(pairs, name) for pairs in found])
            for name in ("i", "j", "shift", "vector", "distance")
        )
        return Pairs(i + starts, j + starts, shift, vector, distance)

    def _search(self, slot: int, system: Systems) -> Pairs:
        # Without a copy, vesin returns i, j and S in its own memory, which the next search overwrites.
        search, cell, pbc = self._lists[slot], system.cell[0], system.pbc[0]
        if len(system.positions) and not pbc.all():
            _require_one_place(system.positions)
        try:
            i, j, *rest = search.compute(system.positions, cell, pbc, "ijSDd", copy=False)
        except RuntimeError as error:
            raise StructureError(f"no neighbours can be found: {error}") from error
        return Pairs(i.astype(np.int64), j.astype(np.int64), *(a if a.flags.owndata else a.copy() for a in rest))


def _require_one_place(positions: np.ndarray) -> None:
    """Raises StructureError where atoms without a cell are so far apart that the search would end the process."""
    apart = np.ptp(positions, axis=0).max()
    if apart > FARTHEST:
        raise StructureError(
            f"atoms are {apart:.4g} Angstrom apart: the system has flown apart; try a shorter time step, and see that "
            "no atoms lie on top of each other and that positions are in Angstrom"
        )
