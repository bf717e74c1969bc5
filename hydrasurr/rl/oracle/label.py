"""What one molecule's calculation gives, and the calculation as an object that can be sent to workers."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hydrasurr.rl.oracle.config import OracleConfig
from hydrasurr.rl.oracle.geometry import Geometry, LabelError, embed, require_bonds

if TYPE_CHECKING:
    from ase import Atoms
    from ase.optimize.optimize import Optimizer

UNITS = {"gap": "eV", "homo": "eV", "lumo": "eV", "energy": "eV", "dipole": "D"}
"""Of the values that each label has; the energy is the total energy."""


@dataclass(frozen=True)
class Label:
    """The result for one molecule.

    Attributes
    ----------
    values : by name, in UNITS; NaN where there is none
    atoms : with hydrogens
    steps : of the geometry optimisation
    converged : whether it ended by itself
    force : the largest force on an atom at its end, eV/Angstrom
    seconds : wall-clock time of the stages "embed" and "optimise"
    """

    values: dict[str, float]
    atoms: int
    steps: int
    converged: bool
    force: float
    seconds: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """NaN becomes None."""
        values = {name: None if math.isnan(value) else value for name, value in self.values.items()}
        return asdict(self) | {"values": values}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Label:
        values = {name: math.nan if value is None else value for name, value in raw["values"].items()}
        return cls(**(raw | {"values": values}))


class XTBOracle:
    """Calculates labels: called with a SMILES it returns a Label, or raises LabelError saying why there is none."""

    def __init__(self, config: OracleConfig | None = None):
        self.config = config or OracleConfig()

    def __call__(self, smiles: str) -> Label:
        """The label of a molecule; the same SMILES, configuration and versions give the same."""
        from hydrasurr.rl.oracle.xtb import one_thread

        with one_thread():
            start = time.perf_counter()
            geometry = embed(smiles, self.config.seed, self.config.conformers)
            embedded = time.perf_counter()
            atoms, steps, converged = self.optimise(geometry)
            seconds = {"embed": embedded - start, "optimise": time.perf_counter() - embedded}
        frontier = atoms.calc.frontier()
        values = {
            "gap": frontier.lumo - frontier.homo,
            "homo": frontier.homo,
            "lumo": frontier.lumo,
            "energy": float(atoms.get_potential_energy()),
            "dipole": atoms.calc.dipole(),
        }
        return Label(values, len(atoms), steps, converged, _largest(atoms.get_forces()), seconds)

    def optimise(self, geometry: Geometry) -> tuple[Atoms, int, bool]:
        """The optimised molecule with its calculator, the steps that took, and whether it converged.

        Raises LabelError if it did not and may not, or if bonds are broken.
        """
        from ase import Atoms

        from hydrasurr.rl.oracle.xtb import XTB

        config = self.config
        atoms = Atoms(geometry.numbers, geometry.positions)
        atoms.calc = XTB(config.method, geometry.charge)
        optimizer = self._optimizer(atoms)
        converged = bool(optimizer.run(fmax=config.fmax, steps=config.max_steps))
        if not converged and config.max_steps and config.unconverged == "error":
            raise LabelError(
                f"not optimised: after {config.max_steps} steps the largest force is "
                f"{_largest(atoms.get_forces()):.3g} eV/Angstrom"
            )
        require_bonds(geometry, atoms.positions)
        return atoms, optimizer.nsteps, converged

    def _optimizer(self, atoms: Atoms) -> Optimizer:
        from ase import optimize

        return getattr(optimize, self.config.optimizer)(atoms, logfile=None)


def _largest(forces: np.ndarray) -> float:
    return float(np.linalg.norm(forces, axis=1).max())
