"""The ASE calculator in ASE's own machinery: caching, boundary conditions, dynamics, optimisers."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.lj import LennardJones as AseLennardJones
from ase.filters import FrechetCellFilter
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from ase.units import fs

from hydrasurr.surrogate.adapters.ase import HydrasurrCalculator
from hydrasurr.surrogate.potentials.lennard_jones import LennardJones
from tests.surrogate.adapters.argon import CUTOFF, EPSILON, SIGMA, argon
from tests.surrogate.potentials.differences import check_forces, check_virial
from tests.surrogate.potentials.structures import every_kind

KINDS = every_kind()


def through_ase(numbers, positions, cell, pbc) -> tuple[float, np.ndarray, np.ndarray]:
    atoms = Atoms(numbers, positions, cell=cell, pbc=pbc, calculator=HydrasurrCalculator(argon(shift=True)))
    virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
    return atoms.get_potential_energy(), atoms.get_forces(), virial


@pytest.mark.parametrize("kind", KINDS)
def test_finite_differences(kind: str) -> None:
    check_forces(through_ase, KINDS[kind], sample=20)
    check_virial(through_ase, KINDS[kind])


@pytest.mark.parametrize("pbc", [True, (True, False, True), False])
def test_equal_to_ases_lennard_jones(pbc: object) -> None:
    """Energy, forces and stress of a rattled crystal; ASE shifts its energies too."""
    atoms = bulk("Ar", cubic=True) * 3
    atoms.pbc = pbc
    atoms.rattle(0.2, seed=1)
    atoms.set_cell(atoms.cell.array @ [[1, 0.1, 0], [0, 1, 0], [0.05, 0, 1.1]], scale_atoms=True)
    other = atoms.copy()
    atoms.calc = HydrasurrCalculator(argon(shift=True))
    other.calc = AseLennardJones(epsilon=EPSILON, sigma=SIGMA, rc=CUTOFF, smooth=False)
    assert atoms.get_potential_energy() == pytest.approx(other.get_potential_energy(), rel=1e-12)
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
    np.testing.assert_allclose(atoms.get_forces(), other.get_forces(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(atoms.get_stress(), other.get_stress(), rtol=0, atol=1e-14)


def test_no_stress_without_a_cell_and_with_a_layer_in_one() -> None:
    pair = molecule("O2", calculator=HydrasurrCalculator(argon()))
    assert np.isfinite(pair.get_forces()).all()
    with pytest.raises(PropertyNotImplementedError):
        pair.get_stress()
    layer = fcc111("Al", (4, 4, 3), a=5.3)
    layer.calc = HydrasurrCalculator(argon())
    assert layer.cell.rank == 2 and layer.get_potential_energy() < 0
    with pytest.raises(PropertyNotImplementedError):
        layer.get_stress()
    layer.center(10, axis=2)
    assert layer.get_stress().shape == (6,)


def test_it_is_evaluated_once_for_each_change(monkeypatch: pytest.MonkeyPatch) -> None:
    potential, calls = argon(), []
    evaluate = potential.evaluate
    monkeypatch.setattr(potential, "evaluate", lambda systems: (calls.append(1), evaluate(systems))[1])
    atoms = bulk("Ar", cubic=True)
    atoms.calc = HydrasurrCalculator(potential)
    changes = [
        lambda: None,
        lambda: atoms.rattle(0.1),
        lambda: atoms.set_cell(atoms.cell * 1.01),
        lambda: atoms.set_pbc((True, True, False)),
        lambda: atoms.set_atomic_numbers([10, 18, 18, 18]),
    ]
    for count, change in enumerate(changes, start=1):
        change()
        atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
        assert len(calls) == count
    atoms.set_initial_charges([1, -1, 0, 0])
    atoms.set_initial_magnetic_moments([1, 1, 0, 0])
    atoms.get_potential_energy(), atoms.get_forces()
    assert len(calls) == len(changes) and not atoms.calc.calculation_required(atoms, ["energy", "stress"])


def test_results_stay_when_the_atoms_move_on() -> None:
    atoms = bulk("Ar", cubic=True)
    atoms.calc = HydrasurrCalculator(argon(), skin=1.0)
    atoms.rattle(0.1, seed=1)
    forces = atoms.get_forces()
    kept = forces.copy()
    atoms.rattle(0.1, seed=2)
    assert np.abs(atoms.get_forces() - forces).max() > 1e-3
    assert np.array_equal(forces, kept)


def test_a_skin_changes_nothing() -> None:
    """Constant energy, with atoms that are put back into the cell every few steps."""
    ends = []
    for skin in (None, 0.0, 1.0):
        atoms = bulk("Ar", cubic=True) * 3
        MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=np.random.default_rng(0))
        atoms.calc = HydrasurrCalculator(argon(), skin)
        dynamics = VelocityVerlet(atoms, 4 * fs)
        dynamics.attach(atoms.wrap, interval=7)
        dynamics.run(60)
        ends.append(atoms.positions.copy())
    assert np.ptp(ends[0], axis=0).max() < 3 * 5.26
    for end in ends[1:]:
        np.testing.assert_allclose(end, ends[0], rtol=0, atol=1e-9)


def test_relaxing_a_crystal_with_its_cell() -> None:
    """The optimiser moves atoms and cell by forces and stress, to the minimum of the energy that fcc crystals have."""
    potential = LennardJones(EPSILON, SIGMA, 3 * SIGMA)
    sizes = np.linspace(5.0, 5.5, 51)
    best = min(potential([18] * 4, bulk("Ar", a=a, cubic=True).positions, [a] * 3, True)[0] for a in sizes)
    crystal = bulk("Ar", cubic=True)
    crystal.set_cell(crystal.cell.array @ [[1, 0.04, 0], [0, 1.03, 0], [0, 0, 0.97]], scale_atoms=True)
    crystal.rattle(0.05, seed=3)
    crystal.calc = HydrasurrCalculator(potential, skin=0.5)
    assert BFGS(FrechetCellFilter(crystal), logfile=None).run(fmax=1e-3, steps=200)
    assert np.abs(crystal.get_forces()).max() < 1e-3 and np.abs(crystal.get_stress()).max() < 1e-4
    assert crystal.get_potential_energy() == pytest.approx(best, rel=1e-3)
