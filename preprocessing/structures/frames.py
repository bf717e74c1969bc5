"""Files of structures, read frame by frame: extended XYZ, NumPy archives, and what ASE stores."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hydrasurr.errors import ConfigError, did_you_mean
from hydrasurr.graphs.labels import values_of
from hydrasurr.graphs.schema import ELEMENTS
from preprocessing.structures.card import FrameFormat

if TYPE_CHECKING:
    from ase import Atoms

_SUFFIXES: dict[str, FrameFormat] = {
    ".xyz": "extxyz",
    ".extxyz": "extxyz",
    ".npz": "npz",
    ".db": "ase",
    ".json": "ase",
    ".traj": "ase",
}
FRAME_SUFFIXES = tuple(_SUFFIXES)


@dataclass(frozen=True)
class Frame:
    """A structure as a file has it, not yet checked; lengths in the file's unit.

    Attributes
    ----------
    numbers, positions, cell, pbc : as `Systems.single` takes them
    values : everything else that the file says of this structure and of its atoms, by name
    """

    numbers: np.ndarray
    positions: np.ndarray
    cell: np.ndarray | None = None
    pbc: Any = False
    values: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, atoms: Atoms) -> Frame:
        """A frame of `ase.Atoms` with the results of its calculator."""
        return cls(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, values_of(atoms))


class Problem(NamedTuple):
    """Why there is no frame."""

    reason: str


Raw = str | Frame | Problem
"""A frame as it is read: text is taken apart later, maybe by another process."""


def frame_format(file: str | Path) -> FrameFormat | None:
    """The format a file's name tells, if it tells one of structures."""
    suffixes = [suffix.lower() for suffix in Path(file).suffixes if suffix.lower() != ".gz"]
    return _SUFFIXES.get(suffixes[-1]) if suffixes else None


def read_frames(file: Path, format: FrameFormat | None = None) -> Iterator[Raw]:
    """All frames of a file. Raises ConfigError naming the file if it cannot be read or has another format."""
    format = format or frame_format(file)
    if format is None:
        raise ConfigError(
            f"cannot tell the format of '{file}' by its name; known are {', '.join(FRAME_SUFFIXES)} (.xyz also with "
            '.gz), or name one in the card: "format": "extxyz"'
        )
    reader = {"extxyz": _read_xyz, "npz": _read_npz, "ase": _read_ase}[format]
    try:
        yield from reader(file)
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"cannot read '{file}': {error}") from error


def parse_frame(raw: Raw) -> Frame:
    """The frame. Raises ValueError saying why it is none."""
    if isinstance(raw, Frame):
        return raw
    if isinstance(raw, Problem):
        raise ValueError(raw.reason)
    from ase.io.extxyz import read_xyz

    try:
        return Frame.of(next(read_xyz(io.StringIO(raw), 0)))
    except KeyError as error:
        raise ValueError(f"unknown element {error}") from error
    except Exception as error:  # malformed text makes ASE raise anything
        raise ValueError(f"not extended XYZ: {error}") from error


def _read_xyz(file: Path) -> Iterator[Raw]:
    options = {"mode": "rt", "encoding": "utf-8-sig", "errors": "replace"}
    with gzip.open(file, **options) if file.suffix.lower() == ".gz" else open(file, **options) as text:
        yield from _xyz_texts(text)


def _xyz_texts(text: IO[str]) -> Iterator[Raw]:
    """The text of each frame. After an error it is not known where the next one begins."""
    for line in text:
        if not line.strip():
            continue
        if not line.strip().isdecimal():
            yield Problem(f"a number of atoms expected, found '{line.strip()[:40]}'; the rest of the file is left out")
            return
        atoms = int(line)
        lines = list(islice(text, atoms + 1))
        if len(lines) <= atoms:
            yield Problem(f"the file ends after {max(len(lines) - 1, 0)} of {atoms} atoms")
            return
        yield line + "".join(lines)


def _read_ase(file: Path) -> Iterator[Raw]:
    import ase.db
    import ase.io

    try:
        if file.suffix.lower() == ".traj":
            yield from map(Frame.of, ase.io.iread(file, index=":", format="traj"))
            return
        with ase.db.connect(file, serial=True) as database:
            for row in database.select():
                yield Frame.of(row.toatoms(add_additional_information=True))
    except Exception as error:  # SQLite, JSON and ASE have errors of their own
        raise ConfigError(f"cannot read '{file}': {error}") from error


_NPZ_NAMES = {
    "positions": ("positions", "R", "coords", "coordinates", "pos"),
    "numbers": ("numbers", "Z", "z", "atomic_numbers", "nuclear_charges", "symbols", "elements", "species"),
    "cell": ("cell", "cells", "box", "lattice"),
    "pbc": ("pbc",),
}
"""Usual names of arrays in archives of molecular dynamics."""


def _read_npz(file: Path) -> Iterator[Raw]:
    """Arrays over all frames: positions [F, N, 3]; numbers or symbols [N] or [F, N]; cell [3], [3, 3], or one a frame.

    `pbc` is one bool or three, or such a frame.
    """
    arrays = _load_npz(file)
    geometry = {}
    for role, names in _NPZ_NAMES.items():
        there = [name for name in names if name in arrays]
        if len(there) > 1 or (not there and role in ("positions", "numbers")):
            found = " and ".join(there) or f"none of {', '.join(names)}"
            raise ConfigError(f"'{file}': one array of {role} expected, found {found} (arrays: {', '.join(arrays)})")
        geometry[role] = arrays.pop(there[0]) if there else None
    positions, numbers, cell, pbc = geometry.values()
    if positions.ndim != 3 or positions.shape[2] != 3:
        raise ConfigError(f"'{file}': positions have shape {positions.shape}, expected (frames, atoms, 3)")
    frames, atoms = positions.shape[:2]
    if numbers.shape not in ((atoms,), (frames, atoms)):
        raise ConfigError(f"'{file}': numbers have shape {numbers.shape}, expected ({atoms},) or ({frames}, {atoms})")
    if numbers.dtype.kind in "US":
        numbers = _numbers_of(file, numbers.astype(str))
    if cell is not None:
        cell = _cells(file, cell, frames)
    if pbc is not None and pbc.shape == (frames,) and frames != 3:
        pbc = pbc[:, None]
    values = {name: array for name, array in arrays.items() if array.shape[:1] == (frames,)}
    for f in range(frames):
        yield Frame(
            numbers=numbers if numbers.ndim == 1 else numbers[f],
            positions=positions[f],
            cell=None if cell is None else cell[f],
            pbc=_pbc_of(f, pbc, cell),
            values={name: array[f] for name, array in values.items()},
        )


def _load_npz(file: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            return dict(archive)
    except Exception as error:  # zipfile, zlib and NumPy have errors of their own
        hint = "; object arrays are not read, since they may hold any code" if "allow_pickle" in str(error) else ""
        raise ConfigError(f"cannot read '{file}': {error}{hint}") from error


def _numbers_of(file: Path, symbols: np.ndarray) -> np.ndarray:
    known = {symbol: number for number, symbol in enumerate(ELEMENTS) if number}
    for symbol in np.unique(symbols).tolist():
        if symbol not in known:
            raise ConfigError(f"'{file}': unknown element '{symbol}'{did_you_mean(symbol, known)}")
    return np.vectorize(known.get, otypes=[np.int64])(symbols)


def _cells(file: Path, cell: np.ndarray, frames: int) -> np.ndarray:
    """`[frames, 3, 3]` of the usual shapes."""
    if cell.shape in ((frames, 9), (9,)):
        cell = cell.reshape(*cell.shape[:-1], 3, 3)
    if cell.shape == (3, 3) and frames == 3:
        raise ConfigError(f"'{file}': a cell of shape (3, 3) for 3 frames is ambiguous; give one of (3, 3, 3)")
    if cell.shape in ((3,), (frames, 3)):
        cell = cell[..., None] * np.eye(3)
    if cell.shape not in ((3, 3), (frames, 3, 3)):
        raise ConfigError(f"'{file}': cell has shape {cell.shape}; expected (3,), (3, 3), ({frames}, 3, 3) or alike")
    return np.broadcast_to(cell, (frames, 3, 3))


def _pbc_of(frame: int, pbc: np.ndarray | None, cell: np.ndarray | None) -> Any:
    """Without `pbc`, what has a cell is periodic."""
    if pbc is None:
        return cell is not None and bool(cell[frame].any())
    return pbc[frame] if pbc.ndim == 2 else pbc
