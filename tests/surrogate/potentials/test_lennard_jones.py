"""Lennard-Jones, and what all pair potentials share: forces, virials, batches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones as ASELennardJones

from hydrasurr.errors import HydrasurrError, StructureError
from hydrasurr.graphs.systems import Systems, join
from hydrasurr.surrogate.potentials import LennardJones, Sum
from tests.surrogate.potentials import nist
from tests.surrogate.potentials.differences import check_forces, check_virial
from tests.surrogate.potentials.structures import every_kind, lattice

ARGON = {"epsilon": 0.0104, "sigma": 3.4, "cutoff": 7.5}


@pytest.mark.parametrize("kind", every_kind())
def test_forces_and_virial_are_derivatives_of_the_energy(kind: str) -> None:
    systems, potential = every_kind()[kind], LennardJones(**ARGON)
    check_forces(potential, systems, sample=60)
    check_virial(potential, systems)


@pytest.mark.parametrize("kind", [kind for kind in every_kind() if kind != "batch"])
def test_equals_ase(kind: str) -> None:
    systems = every_kind()[kind]
    atoms = Atoms(systems.numbers, systems.positions, cell=systems.cell[0], pbc=systems.pbc[0])
    atoms.calc = ASELennardJones(epsilon=ARGON["epsilon"], sigma=ARGON["sigma"], rc=ARGON["cutoff"])
    result = LennardJones(**ARGON).evaluate(systems)
    assert result.energy[0] == pytest.approx(atoms.get_potential_energy(), abs=1e-10)
    np.testing.assert_allclose(result.forces, atoms.get_forces(), rtol=0, atol=1e-10)
    np.testing.assert_allclose(result.stress(systems)[0], atoms.get_stress(voigt=False), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("cutoff", "energy", "virial"), [(3.0, -16.790321304625856, -46.249), (4.0, -17.06045, -47.86883)]
)
def test_nist_configuration(cutoff: float, energy: float, virial: float) -> None:
    """Configuration 4, 30 particles."""
    _, positions, box = nist.read("lj_configuration_4.xyz")
    potential = LennardJones(epsilon=1, sigma=1, cutoff=cutoff, shift=False)
    found, _, found_virial = potential(np.full(len(positions), 18), positions, box, True)
    assert found == pytest.approx(energy, abs=1e-5 if cutoff == 4 else 1e-12)
    assert np.trace(found_virial) == pytest.approx(virial, abs=3e-4)


def test_lammps_benchmark_crystal() -> None:
    """Step 0 of LAMMPS' bench/in.lj: the perfect crystal, whose energy and pressure no code can disagree on."""
    edge, temperature = (4 / 0.8442) ** (1 / 3), 1.44
    corners = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    cells = np.stack(np.meshgrid(*[np.arange(20)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    positions = ((cells + corners) * edge).reshape(-1, 3)
    count, volume = len(positions), (20 * edge) ** 3
    potential = LennardJones(epsilon=1, sigma=1, cutoff=2.5, shift=False)
    energy, _, virial = potential(np.full(count, 18), positions, np.full(3, 20 * edge), True)
    pressure = ((count - 1) * temperature + np.trace(virial) / 3) / volume  # LAMMPS: 3 N - 3 degrees of freedom
    assert energy / count == pytest.approx(-6.7733681, abs=5e-8)
    assert pressure == pytest.approx(-5.0197073, abs=5e-8)


def test_a_batch_equals_its_systems_one_by_one() -> None:
    systems = [*every_kind().values(), Systems.single([], np.empty((0, 3)))]
    together = LennardJones(**ARGON).evaluate(join(systems))
    apart = [LennardJones(**ARGON).evaluate(one) for one in systems]
    np.testing.assert_allclose(together.energy, np.concatenate([e.energy for e in apart]), rtol=0, atol=1e-12)
    np.testing.assert_allclose(together.forces, np.concatenate([e.forces for e in apart]), rtol=0, atol=1e-12)
    np.testing.assert_allclose(together.virial, np.concatenate([e.virial for e in apart]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["triclinic", "batch"])
def test_chunks_change_nothing(kind: str) -> None:
    systems, whole, pieces = every_kind()[kind], LennardJones(**ARGON), LennardJones(**ARGON)
    pieces.chunk = 7
    for one, other in zip(vars(whole.evaluate(systems)).values(), vars(pieces.evaluate(systems)).values(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def test_a_skin_gives_the_same_trajectory() -> None:
    """Fast atoms, wrapped into their cell at times, in a box that shrinks: two runs that never see each other."""
    runs = []
    for skin in (0.0, 1.0):
        system, potential = lattice(5, 3.6, shape=np.eye(3), jitter=0.1), LennardJones(**ARGON)
        potential.skin = skin
        velocities = np.random.default_rng(0).normal(0, 0.02, (125, 3))
        for step in range(60):
            velocities += 0.05 * potential.evaluate(system).forces
            positions, cell = system.positions + velocities, system.cell
            if step % 7 == 3:
                positions = positions - np.floor(positions / np.diag(cell[0])) * np.diag(cell[0])
            if step % 10 == 9:
                positions, cell = 0.999 * positions, 0.999 * cell
            system = replace(system, positions=positions, cell=cell)
        runs.append((system.positions, velocities, potential.evaluate(system).energy))
    for one, other in zip(*runs, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)


@pytest.mark.parametrize("shift", [True, False])
def test_shift_moves_the_energy_of_each_pair_to_zero_at_the_cutoff(shift: bool) -> None:
    potential = LennardJones(1.0, 1.0, 2.5, shift)
    energy, forces, _ = potential([18, 18], [[0, 0, 0], [2.5 - 1e-12, 0, 0]])
    assert energy == pytest.approx(0 if shift else 4 * (2.5**-12 - 2.5**-6), abs=1e-10)
    assert forces[0, 0] > 0.03
    assert potential([18, 18], [[0, 0, 0], [2.5001, 0, 0]])[0] == 0


def test_a_sum_adds_up_potentials_of_different_cutoffs() -> None:
    systems = every_kind()["batch"]
    terms = [LennardJones(**ARGON), LennardJones(0.02, 3.0, 5.0)]
    total = Sum(terms).evaluate(systems)
    for name, value in vars(terms[0].evaluate(systems) + terms[1].evaluate(systems)).items():
        np.testing.assert_allclose(getattr(total, name), value, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="at least one"):
        Sum([])


def test_a_call_checks_what_it_is_given() -> None:
    with pytest.raises(StructureError, match="three independent vectors"):
        LennardJones(**ARGON)([18], [[0, 0, 0]], pbc=True)


@pytest.mark.parametrize("skin", [0.0, 1.0])
def test_atoms_at_one_point_are_named(skin: float) -> None:
    crystal, potential = lattice(), LennardJones(**ARGON)
    potential.skin = skin
    potential.evaluate(crystal)
    twins = crystal.positions.copy()
    twins[5] = twins[20]
    with pytest.raises(StructureError, match=r"^atoms (5 \(Ar\) and 20|20 \(Ar\) and 5) \(Ar\) are 0 Angstrom apart"):
        potential.evaluate(replace(crystal, positions=twins))
    images = Systems.single([18, 18], [[1, 1, 1], [10, 1, 1]], [9.0] * 3, True)
    with pytest.raises(StructureError, match=r"and \d \(Ar\) of system 1, across the border of the cell, are 0"):
        potential.evaluate(join([crystal, images]))


def test_a_skin_is_a_length() -> None:
    for skin in (-1.0, np.nan, np.inf):
        with pytest.raises(HydrasurrError, match="the skin of a neighbour list must be 0 or more Angstrom"):
            LennardJones(**ARGON).skin = skin


@pytest.mark.parametrize("name", ARGON)
@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf])
def test_parameters_are_positive(name: str, value: float) -> None:
    with pytest.raises(HydrasurrError, match=f"{name} must be a positive number, got"):
        LennardJones(**ARGON | {name: value})


def test_no_atoms_have_no_energy() -> None:
    energy, forces, virial = LennardJones(**ARGON)([], np.empty((0, 3)))
    assert energy == 0 and forces.shape == (0, 3) and not virial.any()
    assert Systems.single([18], [[0, 0, 0]]).volume[0] == 0
