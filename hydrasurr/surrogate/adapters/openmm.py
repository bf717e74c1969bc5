"""Potentials as forces of OpenMM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from hydrasurr.errors import StructureError, missing_extra
from hydrasurr.surrogate.potentials.contract import Potential

if TYPE_CHECKING:
    from openmm import PythonForce, State

KJ_PER_MOL = 1.602176634e-19 * 6.02214076e23 / 1000
"""1 eV in kJ/mol: the elementary charge times the Avogadro constant, both exact by the definition of the SI."""


def python_force(potential: Potential, numbers: ArrayLike, periodic: bool = True) -> PythonForce:
    """A force for `System.addForce`, in OpenMM's units (kJ/mol, nm), in double precision.

    `numbers` are the atomic numbers of the particles, in the system's order; after `force.setParticles(indices)`,
    those of these particles. With `periodic` the box of the context is used, along all three vectors. One potential
    serves one context, since it keeps a neighbour list; set `potential.skin` for speed.

    Raises HydrasurrError without OpenMM, and StructureError (as an OpenMMException, from the context) if the number
    of particles is another than that of `numbers`.
    """
    try:
        from openmm import PythonForce, unit
    except ImportError as error:
        raise missing_extra("openmm", "openmm") from error
    numbers = np.array(numbers, np.int64)

    def compute(state: State) -> tuple[float, np.ndarray]:
        positions = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
        if len(positions) != len(numbers):
            raise StructureError(f"OpenMM has {len(positions)} particles, python_force got {len(numbers)} numbers")
        cell = state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.angstrom) if periodic else None
        energy, forces, _ = potential(numbers, positions, cell, periodic)
        return energy * KJ_PER_MOL, forces * (10 * KJ_PER_MOL)

    force = PythonForce(compute)
    force.setUsesPeriodicBoundaryConditions(periodic)
    return force

