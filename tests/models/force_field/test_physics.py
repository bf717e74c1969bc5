"""What any force field must obey: forces are slopes of the energy, nothing depends on how the axes lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hydrasurr.graphs.systems import Systems, join
from hydrasurr.surrogate.potentials.network import NetworkPotential
from tests.models.force_field.conftest import KINDS, NUMBERS, make
from tests.surrogate.potentials.differences import check_forces, check_virial
from tests.surrogate.potentials.structures import every_kind, lattice

SPACING = 2.2
STRUCTURES = every_kind(SPACING, NUMBERS)


def potential(kind: str, **options) -> NetworkPotential:
    return NetworkPotential(make(kind, **options))


@pytest.mark.parametrize("structure", ["triclinic", "slab", "small cell", "one atom", "batch"])
def test_forces_and_virial_are_slopes_of_the_energy(kind: str, structure: str):
    systems = STRUCTURES[structure]
    check_forces(potential(kind), systems, sample=12)
    check_virial(potential(kind), systems)


@pytest.mark.parametrize("envelope", ["polynomial", "cosine"])
@pytest.mark.parametrize("radial", ["bessel", "gaussian"])
def test_forces_with_every_radial_basis(kind: str, radial: str, envelope: str):
    check_forces(potential(kind, radial=radial, envelope=envelope), STRUCTURES["cluster"], sample=8)


def test_forces_without_neighbours(kind: str):
    alone = Systems.single([6, 1], [[0, 0, 0], [9, 0, 0]])
    energy, forces, virial = potential(kind)(alone.numbers, alone.positions)
    assert np.isfinite(energy)
    assert not forces.any() and not virial.any()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_rotation_reflection_translation_and_order(kind: str, seed: int):
    rng = np.random.default_rng(seed)
    field, system = potential(kind), lattice(2, SPACING, NUMBERS, seed=seed)
    turn = Rotation.random(rng=rng).as_matrix() * rng.choice([-1, 1])
    order = rng.permutation(system.num_atoms)
    moved = Systems.single(
        system.numbers[order],
        (system.positions @ turn.T + rng.normal(0, 5, 3))[order],
        system.cell[0] @ turn.T,
        system.pbc[0],
    )
    before, after = field.evaluate(system), field.evaluate(moved)
    np.testing.assert_allclose(after.energy, before.energy, rtol=1e-11)
    np.testing.assert_allclose(after.forces, (before.forces @ turn.T)[order], atol=1e-10)
    np.testing.assert_allclose(after.virial[0], turn @ before.virial[0] @ turn.T, atol=1e-9)


def test_neighbours_matter_and_forces_add_up_to_nothing(kind: str):
    """A force field that ignored its neighbours would have all symmetries, too."""
    forces = potential(kind).evaluate(STRUCTURES["cluster"]).forces
    assert np.abs(forces).max() > 1e-3
    np.testing.assert_allclose(forces.sum(0), 0, atol=1e-10)


@pytest.mark.parametrize("copies", [(2, 1, 1), (2, 3, 1)])
def test_a_supercell_has_as_many_times_the_energy(kind: str, copies: tuple[int, int, int]):
    field, system = potential(kind), STRUCTURES["small cell"]
    shifts = np.stack(np.meshgrid(*map(np.arange, copies), indexing="ij"), -1).reshape(-1, 3)
    larger = Systems.single(
        np.tile(system.numbers, len(shifts)),
        (system.positions + (shifts @ system.cell[0])[:, None]).reshape(-1, 3),
        np.array(copies)[:, None] * system.cell[0],
        True,
    )
    small, large = field.evaluate(system), field.evaluate(larger)
    np.testing.assert_allclose(large.energy, len(shifts) * small.energy, rtol=1e-11)
    np.testing.assert_allclose(large.forces, np.tile(small.forces, (len(shifts), 1)), atol=1e-10)
    np.testing.assert_allclose(large.virial, len(shifts) * small.virial, atol=1e-9)


def test_a_batch_is_its_systems_one_by_one(kind: str):
    field, parts = potential(kind), list(STRUCTURES.values())[:4]
    together = field.evaluate(join(parts))
    alone = [potential(kind).evaluate(part) for part in parts]
    np.testing.assert_allclose(together.energy, np.concatenate([e.energy for e in alone]), rtol=1e-11)
    np.testing.assert_allclose(together.forces, np.concatenate([e.forces for e in alone]), atol=1e-10)
    np.testing.assert_allclose(together.virial, np.concatenate([e.virial for e in alone]), atol=1e-9)


@pytest.mark.parametrize("envelope", ["polynomial", "cosine"])
def test_energy_and_forces_have_no_jump_at_the_cutoff(kind: str, envelope: str):
    """A third atom comes in from beyond the cutoff of both others, and another pair is there all the time."""
    field = potential(kind, envelope=envelope)

    def at(distance: float):
        return field.evaluate(Systems.single([6, 1, 8], [[0, 0, 0], [0, 1, 0], [distance, 0.4, 0]]))

    reach = np.sqrt(field.cutoff**2 - 0.4**2)
    assert np.abs(at(reach - 0.3).energy - at(reach + 0.3).energy) > 1e-6
    inside, outside = at(reach - 1e-7), at(reach + 1e-7)
    np.testing.assert_allclose(inside.energy, outside.energy, rtol=0, atol=1e-8)
    np.testing.assert_allclose(inside.forces, outside.forces, atol=1e-5)


def test_edges_beyond_the_cutoff_do_not_matter(kind: str):
    field, system = potential(kind), STRUCTURES["triclinic"]
    expected = field.evaluate(system)
    field.cutoff = 6.0  # more pairs than the network looks at, as in a committee with another cutoff
    field.skin = 0.0
    seen = field.evaluate(system)
    np.testing.assert_allclose(seen.energy, expected.energy, rtol=1e-12)
    np.testing.assert_allclose(seen.forces, expected.forces, atol=1e-11)


def test_float32_agrees_with_float64(kind: str):
    systems = STRUCTURES["batch"]
    wide = potential(kind).evaluate(systems)
    narrow = NetworkPotential(make(kind), dtype="float32").evaluate(systems)
    np.testing.assert_allclose(narrow.energy, wide.energy, rtol=1e-5)
    np.testing.assert_allclose(narrow.forces, wide.forces, atol=1e-4)


def test_positions_far_from_the_origin_lose_nothing_in_float32(kind: str):
    system = STRUCTURES["cluster"]
    field = NetworkPotential(make(kind), dtype="float32")
    near, far = field.evaluate(system), field.evaluate(replace(system, positions=system.positions + 1e6))
    np.testing.assert_allclose(far.forces, near.forces, atol=1e-5)
