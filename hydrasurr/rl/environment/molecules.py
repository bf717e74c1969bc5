"""Many molecules as arrays that can be edited together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from hydrasurr.rl.environment.paths import FAR, bonds_in_rings, shortest_paths


@dataclass
class Molecules:
    """`B` molecules of at most `A` heavy atoms each; all arrays are changed in place.

    The atoms of a molecule are its first `count`; the other places are zero. Bonds are Kekule structures. Hydrogens
    fill an atom up to its next valence, so every state is closed-shell if it started as one.

    Attributes
    ----------
    element : uint8 `[B, A]`, atomic numbers
    charge : int8 `[B, A]`, formal charges
    valence : int8 `[B, A]`, the smallest valence of an atom: bonds counted with their orders, hydrogens included
    capacity : int8 `[B, A]`, its largest one; more than the smallest for atoms such as the sulfur of a sulfone, which
        may then also have every second one between
    bond : int8 `[B, A, A]`, orders: 0 (none) to 3
    count : int64 `[B]`, heavy atoms
    distance : uint8 `[B, A, A]`, bonds on the shortest path from atom to atom; FAR where there is none
    ring : bool `[B, A, A]`, the bonds that are in a ring
    """

    element: np.ndarray
    charge: np.ndarray
    valence: np.ndarray
    capacity: np.ndarray
    bond: np.ndarray
    count: np.ndarray
    distance: np.ndarray
    ring: np.ndarray

    @classmethod
    def empty(cls, molecules: int, atoms: int) -> Molecules:
        """Molecules without atoms."""
        pairs = (molecules, atoms, atoms)
        return cls(
            element=np.zeros((molecules, atoms), np.uint8),
            charge=np.zeros((molecules, atoms), np.int8),
            valence=np.zeros((molecules, atoms), np.int8),
            capacity=np.zeros((molecules, atoms), np.int8),
            bond=np.zeros(pairs, np.int8),
            count=np.zeros(molecules, np.int64),
            distance=np.full(pairs, FAR, np.uint8),
            ring=np.zeros(pairs, bool),
        )

    def __len__(self) -> int:
        return len(self.count)

    @property
    def max_atoms(self) -> int:
        return self.element.shape[1]

    @property
    def bonds(self) -> np.ndarray:
        """int8 `[B, A]`: bonds of each atom to other heavy atoms, counted with their orders."""
        return self.bond.sum(1, dtype=np.int8)

    @property
    def hydrogens(self) -> np.ndarray:
        """int8 `[B, A]`: on each atom."""
        bonds = self.bonds
        return np.where(bonds < self.valence, self.valence - bonds, (self.capacity - bonds) & 1)

    @property
    def exists(self) -> np.ndarray:
        """bool `[B, A]`: places that hold an atom."""
        return np.arange(self.max_atoms) < self.count[:, None]

    @property
    def num_rings(self) -> np.ndarray:
        """int64 `[B]`: independent rings (bonds - atoms + 1)."""
        return (self.bond > 0).sum((1, 2)) // 2 - self.count + 1

    def __getitem__(self, chosen: np.ndarray | slice) -> Molecules:
        """Some of the molecules: a slice gives views, positions or a mask a copy."""
        return Molecules(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def __setitem__(self, chosen: np.ndarray | slice, other: Molecules) -> None:
        """Put other molecules in the place of some."""
        for field in fields(self):
            getattr(self, field.name)[chosen] = getattr(other, field.name)

    def copy(self) -> Molecules:
        return self[np.arange(len(self))]

    # -- edits: each of at most one per molecule --------------------------------------------------------

    def add_atom(
        self, m: np.ndarray, anchor: np.ndarray, element: np.ndarray, valence: np.ndarray, order: np.ndarray
    ) -> None:
        """Bond a new neutral atom to `anchor` of each molecule in `m`; all `[K]`."""
        new = self.count[m]
        self.element[m, new] = element
        self.valence[m, new] = self.capacity[m, new] = valence
        self.bond[m, anchor, new] = self.bond[m, new, anchor] = order
        row = np.minimum(self.distance[m, anchor].astype(np.int16) + 1, FAR)
        self.distance[m, new] = row
        self.distance[m, :, new] = row
        self.distance[m, new, new] = 0
        self.count[m] += 1

    def set_bond(self, m: np.ndarray, i: np.ndarray, j: np.ndarray, order: np.ndarray) -> None:
        """Give the bond between atoms `i` and `j` of each molecule in `m` another order; all `[K]`.

        Without an order a bond goes: a ring opens, or an atom that has no other bond goes with it (of two such
        atoms the second). Neither i nor j may then be on a bond that holds two larger parts together.
        """
        before = self.bond[m, i, j]
        leaf_i, leaf_j = ((self.bond[m, atom] > 0).sum(-1) == 1 for atom in (i, j))
        self.bond[m, i, j] = self.bond[m, j, i] = order
        gone = (order == 0) & (before > 0)
        closed = (order > 0) & (before == 0)
        leaving = gone & (leaf_i | leaf_j)
        if closed.any():
            self._close_rings(m[closed], i[closed], j[closed])
        opened = gone & ~leaving
        if opened.any():
            self._find_paths(m[opened])
        if leaving.any():
            self._remove_atom(m[leaving], np.where(leaf_j, j, i)[leaving])

    def _remove_atom(self, m: np.ndarray, atom: np.ndarray) -> None:
        """Take out an atom that ends a chain; the last atom takes its place."""
        last = self.count[m] - 1
        for values in (self.element, self.charge, self.valence, self.capacity):
            values[m, atom] = values[m, last]
            values[m, last] = 0
        for values, nothing in ((self.bond, 0), (self.distance, FAR), (self.ring, False)):
            values[m, atom] = values[m, last]
            values[m, :, atom] = values[m, :, last]
            values[m, atom, atom] = values[m, last, last]
            values[m, last] = nothing
            values[m, :, last] = nothing
        self.count[m] -= 1

    def _close_rings(self, m: np.ndarray, i: np.ndarray, j: np.ndarray) -> None:
        """What a new bond between i and j changes.

        Each bond that was in no ring and parts i from j is on every path between them, so on the shortest.
        """
        to_i, to_j = (self.distance[m, end].astype(np.int16) for end in (i, j))
        across = to_i[:, :, None] + to_j[:, None, :] + 1
        across = np.minimum(across, across.transpose(0, 2, 1))
        on_shortest = across == self.distance[m, i, j][:, None, None]
        self.ring[m] |= on_shortest & (self.bond[m] > 0)
        self.ring[m, i, j] = self.ring[m, j, i] = True
        self.distance[m] = np.minimum(self.distance[m], across)

    def _find_paths(self, m: np.ndarray) -> None:
        bond = self.bond[m]
        distance = shortest_paths(bond, self.count[m])
        self.distance[m], self.ring[m] = distance, bonds_in_rings(bond, distance)

    def find_paths(self) -> None:
        """Set `distance` and `ring` from the bonds, for molecules that were not built by edits."""
        self._find_paths(np.arange(len(self)))


def concatenate(parts: Sequence[Molecules]) -> Molecules:
    """All molecules of several, of the same `max_atoms`, in order."""
    return Molecules(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Molecules)))
