"""Atomic systems as flat arrays: atoms in space, with or without a periodic cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from hydrasurr.errors import StructureError
from hydrasurr.graphs.table import offsets_from_counts

if TYPE_CHECKING:
    from ase import Atoms

MAX_NUMBER = 118


@dataclass(frozen=True)
class Systems:
    """`S` systems with `N` atoms in all.

    Attributes
    ----------
    numbers : int64 `[N]`, atomic numbers
    positions : float64 `[N, 3]`, Angstrom; they may lie outside the cell
    cell : float64 `[S, 3, 3]`, the rows are the cell vectors, Angstrom
    pbc : bool `[S, 3]`, along which cell vectors the system repeats
    offset : int64 `[S + 1]`; system `s` owns the atoms `offset[s]:offset[s + 1]`
    """

    numbers: np.ndarray
    positions: np.ndarray
    cell: np.ndarray
    pbc: np.ndarray
    offset: np.ndarray

    @classmethod
    def single(
        cls, numbers: ArrayLike, positions: ArrayLike, cell: ArrayLike | None = None, pbc: ArrayLike = False
    ) -> Systems:
        """One system. `cell` may also be three edge lengths of a box; `pbc` one bool or three.

        Raises StructureError for what cannot be a system: other shapes, positions that are no numbers, unknown
        atomic numbers, or periodic directions without three independent cell vectors.
        """
        try:
            given = np.asarray(numbers)
            numbers = given.astype(np.int64, copy=False)
            positions = np.ascontiguousarray(positions, np.float64)
            cell = np.zeros((3, 3)) if cell is None else np.array(cell, np.float64)
            pbc = np.broadcast_to(np.asarray(pbc, bool), 3)
        except (TypeError, ValueError) as error:
            raise StructureError(
                f"expected arrays of numbers (atomic numbers, Angstrom), and pbc as one bool or three: {error}"
            ) from error
        if given.dtype.kind == "f" and (given != numbers).any():
            raise StructureError("atomic numbers must be whole numbers")
        cell = np.diag(cell) if cell.shape == (3,) else cell
        if numbers.ndim != 1 or positions.shape != (len(numbers), 3):
            raise StructureError(
                f"numbers have shape {numbers.shape} and positions {positions.shape}; expected (N,) and (N, 3)"
            )
        if cell.shape != (3, 3):
            raise StructureError(f"the cell has shape {cell.shape}; expected (3, 3), or (3,) for the edges of a box")
        if not np.isfinite(positions).all() or not np.isfinite(cell).all():
            raise StructureError("positions and cell must be finite numbers, in Angstrom")
        if len(numbers) and not 0 < numbers.min() <= numbers.max() <= MAX_NUMBER:
            raise StructureError(f"atomic numbers are {numbers.min()} to {numbers.max()}; expected 1 to {MAX_NUMBER}")
        if pbc.any() and abs(np.linalg.det(cell)) < 1e-9:
            raise StructureError("a periodic system needs a cell of three independent vectors, in Angstrom")
        return cls(numbers, positions, cell[None], pbc[None], np.array([0, len(numbers)]))

    @classmethod
    def from_ase(cls, atoms: Atoms) -> Systems:
        """The system of an `ase.Atoms`. Directions without a cell vector get one if the system repeats in others."""
        return cls.single(atoms.numbers, atoms.positions, completed(atoms.cell.array, atoms.pbc), atoms.pbc)

    def __len__(self) -> int:
        return len(self.offset) - 1

    def __getitem__(self, index: int) -> Systems:
        """One system, as views."""
        index = range(len(self))[index]
        atoms = slice(self.offset[index], self.offset[index + 1])
        return Systems(
            self.numbers[atoms],
            self.positions[atoms],
            self.cell[index : index + 1],
            self.pbc[index : index + 1],
            np.array([0, atoms.stop - atoms.start]),
        )

    @property
    def num_atoms(self) -> int:
        return len(self.numbers)

    @property
    def system_index(self) -> np.ndarray:
        """int64 `[N]`: the system of each atom."""
        return np.arange(len(self)).repeat(np.diff(self.offset))

    @property
    def volume(self) -> np.ndarray:
        """float64 `[S]`, cubic Angstrom; 0 without a cell."""
        return np.abs(np.linalg.det(self.cell))


def completed(cell: np.ndarray, pbc: ArrayLike) -> np.ndarray:
    """float64 `[3, 3]`: the cell with a unit vector for each that is zero, where only others repeat the system.

    Such vectors are normal to the others, as in ASE. A cell that cannot be completed is returned as it is.
    """
    missing = ~cell.any(axis=1)
    if not missing.any() or not np.any(pbc) or (missing & np.asarray(pbc, bool)).any():
        return cell
    from ase.geometry import complete_cell

    return complete_cell(cell)


def join(systems: Sequence[Systems]) -> Systems:
    """The systems of all of `systems`, in order. Raises ValueError if there are none."""
    if len(systems) == 1:
        return systems[0]
    return Systems(
        numbers=np.concatenate([s.numbers for s in systems]),
        positions=np.concatenate([s.positions for s in systems]),
        cell=np.concatenate([s.cell for s in systems]),
        pbc=np.concatenate([s.pbc for s in systems]),
        offset=offsets_from_counts(np.concatenate([np.diff(s.offset) for s in systems])),
    )
