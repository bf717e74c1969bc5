"""OpenMM's PythonForce in real contexts: against the potential, finite differences, and a trajectory of ASE's."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import openmm
import pytest
from ase import Atoms
from ase.build import bulk
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from ase.units import fs
from openmm import unit

from hydrasurr.errors import HydrasurrError
from hydrasurr.surrogate.adapters.ase import HydrasurrCalculator
from hydrasurr.surrogate.adapters.openmm import KJ_PER_MOL, python_force
from hydrasurr.surrogate.potentials.contract import Potential
from hydrasurr.surrogate.potentials.guard import RadialGuard
from tests.surrogate.adapters.argon import argon, lower_triangular
from tests.surrogate.potentials.differences import check_forces, check_virial
from tests.surrogate.potentials.structures import every_kind

KINDS = {name: systems for name, systems in every_kind().items() if name in ("box", "triclinic", "cluster", "one atom")}


def context_of(
    atoms: Atoms,
    potential: Potential,
    integrator: openmm.Integrator | None = None,
    periodic: bool = True,
    some: Sequence[int] | None = None,
) -> openmm.Context:
    """Atoms in double precision, at their positions; the potential acts on all of them, or on some."""
    system = openmm.System()
    for mass in atoms.get_masses():
        system.addParticle(mass)
    if periodic:
        system.setDefaultPeriodicBoxVectors(*(atoms.cell.array * unit.angstrom))
    force = python_force(potential, atoms.numbers if some is None else atoms.numbers[some], periodic)
    if some is not None:
        force.setParticles(some)
    system.addForce(force)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, integrator or openmm.VerletIntegrator(0.001), platform)
    context.setPositions(atoms.positions * unit.angstrom)
    return context


def evaluate(context: openmm.Context) -> tuple[float, np.ndarray]:
    """Energy in eV and forces in eV/Angstrom."""
    state = context.getState(energy=True, forces=True)
    forces = state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.angstrom)
    return state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole) / KJ_PER_MOL, forces / KJ_PER_MOL


def through_openmm(numbers, positions, cell, pbc) -> tuple[float, np.ndarray, np.ndarray]:
    """OpenMM scales boxes for its barostats and asks for energies only: the virial is the potential's own."""
    periodic = bool(np.all(pbc))
    lower, turn = lower_triangular(cell)
    atoms = Atoms(numbers, positions @ turn, cell=lower)
    energy, forces = evaluate(context_of(atoms, argon(shift=True), periodic=periodic))
    return energy, forces @ turn.T, argon(shift=True)(numbers, positions, cell, pbc)[2]


@pytest.mark.parametrize("kind", KINDS)
def test_energy_and_forces_are_the_potentials(kind: str) -> None:
    system = KINDS[kind]
    state = system.numbers, system.positions, system.cell[0], system.pbc[0]
    energy, forces, _ = through_openmm(*state)
    expected = argon(shift=True)(*state)
    assert energy == pytest.approx(expected[0], rel=1e-13, abs=1e-14)
    np.testing.assert_allclose(forces, expected[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_finite_differences(kind: str) -> None:
    check_forces(through_openmm, KINDS[kind], sample=10)
    check_virial(through_openmm, KINDS[kind])


def test_a_trajectory_is_ases() -> None:
    """OpenMM's leapfrog keeps velocities half a step back; its positions are those of velocity-Verlet."""
    atoms = bulk("Ar", cubic=True) * 3
    MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=np.random.default_rng(0))
    atoms.calc = HydrasurrCalculator(argon())
    potential = argon(skin=1.0)
    context = context_of(atoms, potential, openmm.VerletIntegrator(4 * unit.femtosecond))
    half_back = atoms.get_velocities() - 2 * fs * atoms.get_forces() / atoms.get_masses()[:, None]
    context.setVelocities(half_back * fs * 1e3 * unit.angstrom / unit.picosecond)
    VelocityVerlet(atoms, 4 * fs).run(100)
    context.getIntegrator().step(100)
    positions = context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(unit.angstrom)
    assert np.abs(atoms.positions - bulk("Ar", cubic=True).repeat(3).positions).max() > 0.5
    np.testing.assert_allclose(positions, atoms.positions, rtol=0, atol=1e-5)


def test_a_barostat_changes_the_box() -> None:
    """The energy after accepted moves is that of the potential in the new box."""
    atoms = bulk("Ar", cubic=True) * 4
    potential = argon(skin=0.5)
    integrator, barostat = openmm.LangevinMiddleIntegrator(80, 1, 0.002), openmm.MonteCarloBarostat(500, 80, 5)
    for random in (integrator, barostat):
        random.setRandomNumberSeed(1)
    context = context_of(atoms, potential, integrator)
    context.getSystem().addForce(barostat)
    context.reinitialize(preserveState=True)
    context.getIntegrator().step(100)
    state = context.getState(positions=True)
    positions = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
    cell = state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.angstrom)
    assert abs(np.linalg.det(cell) / atoms.get_volume() - 1) > 1e-4
    energy, forces = evaluate(context)
    expected = argon()(atoms.numbers, positions, cell, True)
    assert energy == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(forces, expected[1], rtol=0, atol=1e-12)


def test_some_particles_only() -> None:
    atoms = bulk("Ar", cubic=True) * 2
    atoms.rattle(0.1, seed=1)
    some = [3, 0, 7, 20]
    forces = evaluate(context_of(atoms, argon(), some=some))[1]
    expected = argon()(atoms.numbers[some], atoms.positions[some], atoms.cell.array, True)[1]
    np.testing.assert_allclose(forces[some], expected, rtol=0, atol=1e-12)
    assert not np.delete(forces, some, axis=0).any()


def test_errors_come_through() -> None:
    atoms = bulk("Ar", cubic=True)
    context = context_of(atoms, RadialGuard(argon(), r_min=4.0, stop=True))
    with pytest.raises(openmm.OpenMMException, match="the potential was trained down to 4"):
        evaluate(context)
    system = context.getSystem()
    system.addParticle(1.0)
    context.reinitialize()
    context.setPositions(np.zeros((5, 3)))
    with pytest.raises(openmm.OpenMMException, match="OpenMM has 5 particles, python_force got 4 numbers"):
        evaluate(context)


def test_without_openmm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openmm", None)
    with pytest.raises(HydrasurrError, match=r"'openmm'.*pip install 'hydrasurr\[openmm\]'"):
        python_force(argon(), [18])
