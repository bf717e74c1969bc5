"""Molecules in a fraction of their memory, to be kept or sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hydrasurr.rl.environment.molecules import Molecules

ATOM_COLUMNS = ("element", "charge", "valence", "capacity")
PER_BYTE = 4
"""Bonds in a byte, two bits each."""
ORDERS = np.stack([np.arange(256) >> 2 * k & 3 for k in range(PER_BYTE)], 1).astype(np.int8)
"""int8 `[256, 4]`: those that each byte holds."""


@dataclass
class PackedMolecules:
    """`B` molecules of at most `A` heavy atoms each, a row of bytes for each; changed in place.

    What can be told from the bonds is left out: distances and rings are found again by `unpack`.

    Attributes
    ----------
    rows : uint8 `[B, 1 + 4 A + ceil(A (A - 1) / 8)]`: the number of atoms; their elements, charges, smallest and
        largest valences; the orders of the bonds between them, pair by pair
    max_atoms : A, at most 250
    """

    rows: np.ndarray
    max_atoms: int

    @classmethod
    def empty(cls, molecules: int, atoms: int) -> PackedMolecules:
        """Molecules without atoms."""
        return cls(np.zeros((molecules, 1 + len(ATOM_COLUMNS) * atoms + _bond_bytes(atoms)), np.uint8), atoms)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def count(self) -> np.ndarray:
        """int64 `[B]`, heavy atoms."""
        return self.rows[:, 0].astype(np.int64)

    def __getitem__(self, chosen: np.ndarray | slice) -> PackedMolecules:
        """Some of the molecules: a slice gives views, positions or a mask a copy."""
        return PackedMolecules(self.rows[chosen], self.max_atoms)

    def __setitem__(self, chosen: np.ndarray | slice, other: PackedMolecules) -> None:
        """Put other molecules in the place of some."""
        self.rows[chosen] = other.rows

    def unpack(self) -> Molecules:
        """The molecules as they were."""
        atoms = self.max_atoms
        cuts = np.cumsum([1] + [atoms] * len(ATOM_COLUMNS))
        _, *columns, bonds = np.split(self.rows, cuts, axis=1)
        molecules = Molecules.empty(len(self), atoms)
        molecules.count[:] = self.count
        for name, column in zip(ATOM_COLUMNS, columns, strict=True):
            getattr(molecules, name)[:] = column.view(np.int8) if name != "element" else column
        i, j = np.triu_indices(atoms, 1)
        orders = ORDERS[bonds].reshape(len(self), PER_BYTE * _bond_bytes(atoms))[:, : len(i)]
        molecules.bond[:, i, j] = molecules.bond[:, j, i] = orders
        molecules.find_paths()
        return molecules


def pack(molecules: Molecules) -> PackedMolecules:
    """The same molecules in fewer bytes."""
    count, atoms = len(molecules), molecules.max_atoms
    packed, width = PackedMolecules.empty(count, atoms), _bond_bytes(atoms)
    i, j = np.triu_indices(atoms, 1)
    orders = np.zeros((count, PER_BYTE * width), np.uint8)
    orders[:, : len(i)] = molecules.bond[:, i, j]
    shifted = orders.reshape(count, width, PER_BYTE) << 2 * np.arange(PER_BYTE, dtype=np.uint8)
    columns = [getattr(molecules, name).view(np.uint8) for name in ATOM_COLUMNS]
    bonds = np.bitwise_or.reduce(shifted, axis=2)
    np.concatenate([molecules.count[:, None].astype(np.uint8), *columns, bonds], axis=1, out=packed.rows)
    return packed


def _bond_bytes(atoms: int) -> int:
    """For all pairs of atoms."""
    return -(-(atoms * (atoms - 1) // 2) // PER_BYTE)


def concatenate(parts: Sequence[PackedMolecules]) -> PackedMolecules:
    """All molecules of several, of the same `max_atoms`, in order; at least one part."""
    return PackedMolecules(np.concatenate([part.rows for part in parts]), parts[0].max_atoms)
