"""Files of structures in all formats."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import ase.db
import ase.io
import numpy as np
import pytest
from ase import Atoms

from preprocessing.card import StructureCard, read_card


def write_xyz(path: Path, frames: Sequence[Atoms]) -> Path:
    """Extended XYZ with all digits."""
    ase.io.write(path, list(frames), format="extxyz", write_results=True)
    return path


def write_db(path: Path, frames: Sequence[Atoms]) -> Path:
    with ase.db.connect(path) as database:
        for atoms in frames:
            database.write(atoms)
    return path


def write_traj(path: Path, frames: Sequence[Atoms]) -> Path:
    ase.io.write(path, list(frames), format="traj")
    return path


def write_npz(path: Path, frames: Sequence[Atoms]) -> Path:
    """Frames of the same atoms."""
    labels = {name: np.array([atoms.calc.results[name] for atoms in frames]) for name in frames[0].calc.results}
    np.savez_compressed(
        path,
        positions=np.array([atoms.positions for atoms in frames]),
        numbers=frames[0].numbers,
        cell=np.array([atoms.cell.array for atoms in frames]),
        pbc=np.array([atoms.pbc for atoms in frames]),
        **labels,
    )
    return path


def _write_card(folder: Path, **keys: object) -> StructureCard:
    """A card `card.json` in `folder`; by default of `t.xyz`, all to train with."""
    defaults = {"kind": "structures", "name": "t", "files": [{"path": "t.xyz", "split": "train"}]}
    (folder / "card.json").write_text(json.dumps({**defaults, **keys}))
    return read_card(folder / "card.json")


@pytest.fixture(scope="session")
def structure_card() -> Callable[..., StructureCard]:
    return _write_card
