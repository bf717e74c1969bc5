"""What molecular dynamics moves: atoms with momenta, and what the potential says of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import units
from ase.data import atomic_masses

from hydrasurr.errors import StructureError
from hydrasurr.graphs.systems import Systems
from hydrasurr.surrogate.potentials.contract import Evaluation, Potential


@dataclass(frozen=True)
class State:
    """`S` systems with `N` atoms in all, at one moment.

    Attributes
    ----------
    systems : positions are never wrapped into the cell, so that a path can be followed over any number of cells
    masses : float64 `[N]`, amu
    momenta : float64 `[N, 3]`, sqrt(amu eV), the unit of ASE: `p^2 / 2m` is in eV
    result : energy, forces and virial at these positions
    """

    systems: Systems
    masses: np.ndarray
    momenta: np.ndarray
    result: Evaluation

    @property
    def velocities(self) -> np.ndarray:
        """float64 `[N, 3]`, Angstrom/fs."""
        return self.momenta / self.masses[:, None] * units.fs

    @property
    def degrees_of_freedom(self) -> np.ndarray:
        """int64 `[S]`: 3 n - 3 of n atoms, since every integrator here conserves the total momentum, which is zero."""
        return 3 * np.diff(self.systems.offset) - 3

    @property
    def kinetic_tensor(self) -> np.ndarray:
        """float64 `[S, 3, 3]`, eV: `sum p (x) p / m`, whose trace is twice the kinetic energy."""
        outer = self.momenta[:, :, None] * (self.momenta / self.masses[:, None])[:, None, :]
        return np.add.reduceat(outer, self.systems.offset[:-1])

    @property
    def kinetic_energy(self) -> np.ndarray:
        """float64 `[S]`, eV."""
        each = np.einsum("ij,ij->i", self.momenta, self.momenta) / (2 * self.masses)
        return np.add.reduceat(each, self.systems.offset[:-1])

    @property
    def total_energy(self) -> np.ndarray:
        """float64 `[S]`, eV."""
        return self.kinetic_energy + self.result.energy

    @property
    def temperature(self) -> np.ndarray:
        """float64 `[S]`, K: `2 K / (f kB)` with f degrees of freedom; 0 for a single atom, which has none."""
        return 2 * self.kinetic_energy / (np.maximum(self.degrees_of_freedom, 1) * units.kB)

    @property
    def pressure_tensor(self) -> np.ndarray:
        """float64 `[S, 3, 3]`, bar: `(sum p (x) p / m + W) / V` with the virial W; NaN without a periodic cell."""
        volume = np.where(self.systems.pbc.all(1), self.systems.volume, np.nan)
        return (self.kinetic_tensor + self.result.virial) / volume[:, None, None] / units.bar

    @property
    def pressure(self) -> np.ndarray:
        """float64 `[S]`, bar: a third of the trace of the pressure tensor."""
        return np.trace(self.pressure_tensor, axis1=1, axis2=2) / 3


def begin(
    systems: Systems, potential: Potential, momenta: np.ndarray | None = None, masses: np.ndarray | None = None
) -> State:
    """The state of systems, at rest unless `momenta` are given; standard atomic masses unless `masses` are.

    Raises StructureError for systems without atoms and masses that are not positive.
    """
    masses = atomic_masses[systems.numbers] if masses is None else np.asarray(masses, np.float64)
    momenta = np.zeros((systems.num_atoms, 3)) if momenta is None else np.asarray(momenta, np.float64)
    if not np.diff(systems.offset).all():
        raise StructureError("a system to move has no atoms")
    if masses.shape != (systems.num_atoms,) or not (masses > 0).all():
        raise StructureError("every atom needs a mass above 0, in amu")
    if momenta.shape != (systems.num_atoms, 3) or not np.isfinite(momenta).all():
        raise StructureError(f"momenta must be finite numbers of shape ({systems.num_atoms}, 3)")
    return State(systems, masses, momenta, potential.evaluate(systems))
