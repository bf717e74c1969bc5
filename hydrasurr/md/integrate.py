"""The velocity-Verlet integrator: constant number of atoms, volume and energy (NVE)."""

from __future__ import annotations

from dataclasses import replace

from ase import units

from hydrasurr.md.state import State
from hydrasurr.surrogate.potentials.contract import Potential


def velocity_verlet(state: State, potential: Potential, timestep_fs: float) -> State:
    """The state one step later; the given one is left as it is.

    .. code-block:: text

        p(t + dt/2) = p(t)        + F(x(t))      dt/2
        x(t + dt)   = x(t)        + p(t + dt/2) / m dt
        p(t + dt)   = p(t + dt/2) + F(x(t + dt)) dt/2

    ======  ==========================  ========================================
    symbol  here                        unit
    ======  ==========================  ========================================
    x       `state.systems.positions`   Angstrom, not wrapped
    p       `state.momenta`             sqrt(amu eV)
    F       `state.result.forces`       eV/Angstrom
    m       `state.masses`              amu
    dt      `timestep_fs`               fs; times `ase.units.fs` in sqrt(amu/eV) Angstrom
    ======  ==========================  ========================================

    It is of second order, symplectic, and reversible in time: with the momenta turned round it goes back the way it
    came. Total momentum is conserved as far as the forces sum to zero.

    Source: Swope, Andersen, Berens and Wilson, J. Chem. Phys. 76, 637 (1982), in momenta.
    """
    dt = timestep_fs * units.fs
    momenta = state.momenta + 0.5 * dt * state.result.forces
    positions = state.systems.positions + dt * momenta / state.masses[:, None]
    systems = replace(state.systems, positions=positions)
    result = potential.evaluate(systems)
    return State(systems, state.masses, momenta + 0.5 * dt * result.forces, result)
