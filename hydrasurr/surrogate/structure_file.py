"""A file of structures with labels, as ASE reads it, in place of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hydrasurr.errors import HydrasurrError, StructureError
from hydrasurr.graphs.structures import to_table
from hydrasurr.graphs.systems import Systems, join
from hydrasurr.graphs.table import GraphTable

if TYPE_CHECKING:
    from ase import Atoms


class TableSplit:
    """A table in memory, read like a split of a data set."""

    def __init__(self, table: GraphTable):
        self._table = table
        self.block_offset = np.array([0, len(table)])

    def __len__(self) -> int:
        return len(self._table)

    def read(self, start: int, stop: int, columns: Sequence[str] | None = None) -> GraphTable:
        return self._with(self._table[start:stop], columns)

    def gather(self, indices: np.ndarray, columns: Sequence[str] | None = None) -> GraphTable:
        return self._with(self._table.gather(indices), columns)

    @staticmethod
    def _with(table: GraphTable, columns: Sequence[str] | None) -> GraphTable:
        return table if columns is None else table.select(columns)


def read_structures(path: str | Path) -> GraphTable:
    """All structures of a file (extended XYZ, ASE's databases and trajectories, VASP's OUTCAR, ...), without edges.

    Labels are what ASE knows as energy, forces and stress of a structure, in eV and Angstrom; NaN where there is none.

    Raises HydrasurrError if the file cannot be read, or has no label at all.
    """
    import ase.io

    try:
        frames = ase.io.read(path, ":")
    except Exception as error:  # readers of ASE have errors of their own
        raise HydrasurrError(f"'{path}' is no data set, and ASE cannot read it: {error or repr(error)}") from error
    systems, labels = [], []
    for number, atoms in enumerate(frames, 1):
        try:
            systems.append(Systems.from_ase(atoms))
        except StructureError as error:
            raise StructureError(f"'{path}', structure {number}: {error}") from None
        labels.append(_labels(atoms))
    if not frames:
        raise HydrasurrError(f"'{path}' has no structures")
    energy, forces, stress = (
        np.concatenate(parts) if any(np.isfinite(part).any() for part in parts) else None
        for parts in zip(*labels, strict=True)
    )
    if energy is None and forces is None and stress is None:
        raise HydrasurrError(
            f"'{path}' has no energy, forces or stress that ASE knows under these names; where they have other names "
            "make a data set with hydrasurr-preprocess, whose card can name them"
        )
    return to_table(join(systems), energy=energy, forces=forces, stress=stress)


def _labels(atoms: Atoms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energy `[1]`, forces `[N, 3]` and stress `[1, 3, 3]`."""
    from ase.stress import voigt_6_to_full_3x3_stress

    results = atoms.calc.results if atoms.calc is not None else {}
    stress = np.asarray(results.get("stress", np.full(6, np.nan)), np.float64)
    return (
        np.array([results.get("energy", np.nan)], np.float64),
        np.asarray(results.get("forces", np.full((len(atoms), 3), np.nan)), np.float64),
        (voigt_6_to_full_3x3_stress(stress) if stress.shape == (6,) else stress.reshape(3, 3))[None],
    )
