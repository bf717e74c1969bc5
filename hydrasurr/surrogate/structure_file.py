"""A file of structures with labels, as ASE reads it, in place of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hydrasurr.errors import HydrasurrError, StructureError
from hydrasurr.graphs.labels import LABELS, as_stress, fits, is_virial, usual_keys, values_of
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

    Labels are what has the name energy, forces or stress, or another usual one such as REF_energy, in eV and Angstrom
    (`hydrasurr.graphs.labels`); NaN where a structure has none.

    Raises HydrasurrError if the file cannot be read, has no label at all, or several of a kind.
    """
    frames = _read(path)
    values = [values_of(atoms) for atoms in frames]
    keys = {label: _key(path, label, frames, values) for label in LABELS}
    if not any(keys.values()):
        raise HydrasurrError(
            f"'{path}' has no energy, forces or stress of a usual name; where they have other names, make a data set "
            f"and evaluate that: hydrasurr-preprocess card {path} --energy NAME --forces NAME"
        )
    systems, labels = [], []
    for number, (atoms, named) in enumerate(zip(frames, values, strict=True), 1):
        try:
            systems.append(Systems.from_ase(atoms))
            labels.append(_labels(systems[-1], named, keys))
        except StructureError as error:
            raise StructureError(f"'{path}', structure {number}: {error}") from None
    energy, forces, stress = (
        np.concatenate(parts) if any(np.isfinite(part).any() for part in parts) else None
        for parts in zip(*labels, strict=True)
    )
    return to_table(join(systems), energy=energy, forces=forces, stress=stress)


def _read(path: str | Path) -> list[Atoms]:
    import ase.io

    if Path(path).suffix.lower() == ".npz":
        raise HydrasurrError(
            f"'{path}' is an archive of arrays, in units of its own; make a data set and evaluate that: "
            f"hydrasurr-preprocess card {path}"
        )
    frames = []
    try:
        for atoms in ase.io.iread(path, ":"):
            frames.append(atoms)
    except Exception as error:  # readers of ASE have errors of their own
        number = len(frames) or _whole_frames(Path(path))  # ASE looks for all frames before it gives the first
        place = "" if number is None else f" from structure {number + 1} on"
        reason = " ".join(str(error).replace("\\n", " ").split()) or repr(error)
        raise HydrasurrError(f"'{path}' is no data set, and ASE cannot read it{place}: {reason}") from error
    if not frames:
        raise HydrasurrError(f"'{path}' has no structures")
    return frames


def _whole_frames(path: Path) -> int | None:
    """How many frames of an XYZ file come before one that does not begin with a number of atoms."""
    if path.suffix not in (".xyz", ".extxyz") or not path.is_file():
        return None
    whole = 0
    with path.open(errors="replace") as lines:
        while line := lines.readline():
            if not line.strip().isdecimal():
                return whole
            for _ in range(int(line) + 1):
                lines.readline()
            whole += 1
    return 0  # all begin as they should, so that it was the first that could not be read


def _key(path: str | Path, label: str, frames: list[Atoms], values: list[dict[str, Any]]) -> str | None:
    """The usual name under which a label is there."""
    there = {
        key: None  # a dictionary, as a set that keeps an order
        for atoms, named in zip(frames, values, strict=True)
        for key, value in named.items()
        if fits(label, len(atoms), value)
    }
    keys = usual_keys(label, there)
    if len(keys) > 1:
        raise HydrasurrError(
            f"'{path}' has several kinds of {label}: {', '.join(keys)}; choose one by making a data set, and evaluate "
            f"that: hydrasurr-preprocess card {path} --{label} {keys[0]}"
        )
    return keys[0] if keys else None


def _labels(
    system: Systems, named: Mapping[str, Any], keys: Mapping[str, str | None]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energy `[1]`, forces `[N, 3]` and stress `[1, 3, 3]`. Raises StructureError for one that cannot be it."""
    from ase.stress import voigt_6_to_full_3x3_stress

    energy = _array(named, keys["energy"], (1,))
    forces = _array(named, keys["forces"], (system.num_atoms, 3))
    key = keys["stress"]
    if key and np.size(named.get(key)) == 6:
        stress = voigt_6_to_full_3x3_stress(_array(named, key, (6,)))
    else:
        stress = _array(named, key, (3, 3))
    if key:
        stress = as_stress(stress, key, float(system.volume[0]), virial=is_virial(key))
    return energy, forces, stress[None]


def _array(named: Mapping[str, Any], key: str | None, shape: tuple[int, ...]) -> np.ndarray:
    """The value of a label, NaN where it is missing."""
    value = named.get(key)
    if value is None:
        return np.full(shape, np.nan)
    try:
        return np.asarray(value, np.float64).reshape(shape)
    except (TypeError, ValueError):
        raise StructureError(f"'{key}' is not {' x '.join(map(str, shape))} numbers: {str(value)[:40]!r}") from None
