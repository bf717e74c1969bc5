"""Trajectories on disk: extended XYZ, and DCD through MDAnalysis."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from ase.geometry import cell_to_cellpar, cellpar_to_cell
from ase.io import iread
from ase.io.extxyz import write_extxyz

from hydrasurr.errors import ConfigError, HydrasurrError, StructureError, missing_extra
from hydrasurr.graphs.systems import Systems
from hydrasurr.md.frame import Frame
from hydrasurr.md.systems import read_structure

if TYPE_CHECKING:
    from MDAnalysis.lib.formats.libdcd import DCDFile

AKMA_FS = 48.88821
"""The unit of time of DCD files in fs, as MDAnalysis has it."""


class TrajectoryWriter(ABC):
    """Adds frames to a file. What was written can be cut back to a `mark`, so that a resumed run repeats no frame."""

    @abstractmethod
    def write(self, frame: Frame) -> None:
        """Add a frame."""

    @abstractmethod
    def mark(self) -> int:
        """Put all frames so far on the disk, and tell how much that is, for `keep` of a later writer."""

    @abstractmethod
    def close(self) -> None:
        """Nothing is written after this."""


class XyzWriter(TrajectoryWriter):
    """Extended XYZ: text that most programs read, with energy and stress, and on request velocities and forces.

    Velocities are written as momenta in the unit of ASE, for `Atoms.get_velocities`.

    Parameters
    ----------
    keep : bytes of an existing file to keep; 0 begins anew
    """

    def __init__(self, path: Path, keep: int = 0, velocities: bool = False, forces: bool = False):
        self._file = cut(path, keep)
        self._velocities, self._forces = velocities, forces

    def write(self, frame: Frame) -> None:
        chosen = replace(
            frame,
            velocities=frame.velocities if self._velocities else None,
            forces=frame.forces if self._forces else None,
        )
        write_extxyz(self._file, [chosen.to_ase()])

    def mark(self) -> int:
        return flush(self._file)

    def close(self) -> None:
        self._file.close()


class DcdWriter(TrajectoryWriter):
    """DCD: positions as 32-bit numbers, small and quick. Elements are in another file.

    Parameters
    ----------
    systems : one system. A DCD file stores edges and angles of the cell, so vector a must lie along x and b in the
        xy plane
    interval : steps between frames
    keep : frames of an existing file to keep; 0 begins anew
    """

    def __init__(self, path: Path, systems: Systems, timestep_fs: float, interval: int, keep: int = 0):
        open_dcd = _dcd_file()
        self._path, self._frames = path, 0
        self._box = dcd_box(systems)
        old = self._old(keep) if keep else None
        fresh = path.with_name(path.name + ".new")
        self._file = open_dcd(str(fresh), "w")
        self._file.write_header(
            remarks="hydrasurr",
            natoms=systems.num_atoms,
            istart=0,
            nsavc=interval,
            delta=timestep_fs / AKMA_FS,
            is_periodic=1,
        )
        if old is not None:
            for frame in islice(old, keep):
                self._add(frame.xyz)
            old.close()
        os.replace(fresh, path)  # until here the old file was whole; the open file goes on under its new name

    def _old(self, keep: int) -> DCDFile:
        """The existing file. Raises HydrasurrError if it has lost frames."""
        try:
            old = _dcd_file()(str(self._path))
        except OSError as error:
            lost = f"has lost what was written before the restart ({keep} frames)"
            raise HydrasurrError(f"'{self._path}' {lost}: {error}") from error
        if len(old) < keep:
            raise HydrasurrError(f"'{self._path}' has {len(old)} frames, but {keep} were there at the restart")
        return old

    def write(self, frame: Frame) -> None:
        self._add(frame.systems.positions)

    def _add(self, positions: np.ndarray) -> None:
        self._file.write(np.asarray(positions, np.float32), self._box)
        self._frames += 1

    def mark(self) -> int:
        with self._path.open("rb") as file:  # libdcd hands each frame to the system when it is written
            os.fsync(file.fileno())
        return self._frames

    def close(self) -> None:
        self._file.close()


def read_trajectory(path: str | Path, structure: str | Path | None = None) -> Iterator[Frame]:
    """The frames of a trajectory: DCD, or anything ASE reads.

    `structure` names a file with the elements and the periodic directions of a DCD trajectory, default
    `structure.extxyz` beside it. Raises HydrasurrError for files that cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise HydrasurrError(f"no trajectory '{path}'")
    if path.suffix.lower() == ".dcd":
        yield from _read_dcd(path, Path(structure) if structure else path.with_name("structure.extxyz"))
        return
    try:
        for index, atoms in enumerate(iread(path, ":")):
            yield Frame.from_ase(atoms, step=index)
    except HydrasurrError:
        raise
    except Exception as error:  # ASE's readers raise whatever a malformed line leads to
        raise HydrasurrError(f"cannot read the trajectory '{path}': {type(error).__name__}: {error}") from error


def _read_dcd(path: Path, structure: Path) -> Iterator[Frame]:
    if not structure.is_file():
        raise HydrasurrError(f"'{path}' does not tell the elements, and there is no '{structure}' that would")
    atoms = read_structure(structure)
    try:
        opened = _dcd_file()(str(path))
    except OSError as error:
        raise HydrasurrError(f"cannot read the trajectory '{path}': {error}") from error
    with opened as file:
        header = file.header
        if header["natoms"] != len(atoms):
            raise StructureError(f"'{path}' has {header['natoms']} atoms, and '{structure}' has {len(atoms)}")
        for index, frame in enumerate(file):
            step = header["istart"] + index * header["nsavc"]
            cell = _cell_of(frame.unitcell)
            systems = Systems.single(atoms.numbers, frame.xyz, cell, False if cell is None else atoms.pbc)
            yield Frame(step, step * header["delta"] * AKMA_FS / 1000, systems)


def flush(file: IO) -> int:
    """Put all that was written on the disk; the size of the file in bytes."""
    file.flush()
    os.fsync(file.fileno())
    return os.fstat(file.fileno()).st_size


def cut(path: Path, keep: int) -> IO[str]:
    """Open a text file to append to its first `keep` bytes. Raises HydrasurrError if it has fewer."""
    if not keep:
        return path.open("w", encoding="utf-8")
    if not path.is_file() or path.stat().st_size < keep:
        raise HydrasurrError(f"'{path}' has lost what was written before the restart ({keep:,} bytes)")
    os.truncate(path, keep)
    return path.open("a", encoding="utf-8")


def _dcd_file() -> type[DCDFile]:
    try:
        from MDAnalysis.lib.formats.libdcd import DCDFile
    except ImportError:
        raise missing_extra("MDAnalysis", "md") from None
    return DCDFile


def dcd_box(systems: Systems) -> list[float]:
    """Edges and cosines of the angles of the cell in the order of NAMD; zeros without a cell.

    Raises ConfigError for a cell that a DCD file cannot hold, and HydrasurrError without MDAnalysis.
    """
    _dcd_file()
    cell = systems.cell[0]
    if not systems.pbc.any():
        return [0.0] * 6
    a, b, c, alpha, beta, gamma = cell_to_cellpar(cell)
    if not np.allclose(cellpar_to_cell((a, b, c, alpha, beta, gamma)), cell, atol=1e-6):
        raise ConfigError(
            "a DCD trajectory cannot tell how this cell is turned: let its first vector lie along x and the second "
            "in the xy plane, or write extxyz"
        )
    cos_alpha, cos_beta, cos_gamma = np.cos(np.radians((alpha, beta, gamma)))
    return [a, cos_gamma, b, cos_beta, cos_alpha, c]


def _cell_of(box: np.ndarray) -> np.ndarray | None:
    """The cell of a DCD frame, whose angles are degrees (X-PLOR) or cosines (NAMD)."""
    a, gamma, b, beta, alpha, c = box
    if not a * b * c:
        return None
    angles = np.array([alpha, beta, gamma])
    if (np.abs(angles) <= 1).all():
        angles = np.degrees(np.arccos(angles))
    return cellpar_to_cell([a, b, c, *angles])
