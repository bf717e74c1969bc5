"""Restart files: all that a run needs to go on as if it had never stopped."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from hydrasurr.errors import HydrasurrError
from hydrasurr.files import replacing
from hydrasurr.graphs.systems import Systems
from hydrasurr.md.state import State

_ARRAYS = ("numbers", "positions", "cell", "pbc", "masses", "momenta")


@dataclass(frozen=True)
class Restart:
    """A run at one step.

    Attributes
    ----------
    numbers, positions, cell, pbc, masses, momenta : as in State, of one system
    anchor : float64 `[N, 3]`, see Resumable; None without a skin
    memory : of the dynamics and of what watches them, as JSON
    marks : how much of each file of the run belongs to it, see TrajectoryWriter
    """

    step: int
    numbers: np.ndarray
    positions: np.ndarray
    cell: np.ndarray
    pbc: np.ndarray
    masses: np.ndarray
    momenta: np.ndarray
    anchor: np.ndarray | None = None
    memory: dict[str, Any] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, state: State, step: int, **rest: Any) -> Restart:
        systems = state.systems
        arrays = systems.numbers, systems.positions, systems.cell[0], systems.pbc[0], state.masses, state.momenta
        return cls(step, *arrays, **rest)

    @property
    def systems(self) -> Systems:
        return Systems.single(self.numbers, self.positions, self.cell, self.pbc)

    def to_ase(self) -> Atoms:
        atoms = Atoms(self.numbers, self.positions, cell=self.cell, pbc=self.pbc, masses=self.masses)
        atoms.set_momenta(self.momenta)
        return atoms

    def write(self, path: Path) -> None:
        """Write so that `path` is at any moment either the old or the new file."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        if self.anchor is not None:
            arrays["anchor"] = self.anchor
        rest = {"step": self.step, "memory": self.memory, "marks": self.marks}
        with replacing(path) as temporary, temporary.open("wb") as file:  # by a name, NumPy would add .npz to it
            np.savez(file, rest=np.array(json.dumps(rest)), **arrays)

    @classmethod
    def read(cls, path: Path) -> Restart:
        """Raises HydrasurrError if there is none, or it is damaged."""
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in _ARRAYS}
                anchor = file.get("anchor")
                rest = json.loads(str(file["rest"]))
            return cls(anchor=anchor, **arrays, **rest)
        except FileNotFoundError:
            raise HydrasurrError(f"no restart file '{path}'") from None
        except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise HydrasurrError(f"cannot read the restart file '{path}': {error}") from error
