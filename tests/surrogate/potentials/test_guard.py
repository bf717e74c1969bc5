"""Range guards: what they count, how they repel, and when they stop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.graphs.neighbours import Pairs
from hydrasurr.graphs.systems import Systems, join
from hydrasurr.surrogate.potentials import Born, Evaluation, LennardJones, Potential, RangeGuard, guarded
from hydrasurr.surrogate.potentials.guard import STIFFNESS
from tests.surrogate.potentials.differences import check_forces, check_virial
from tests.surrogate.potentials.structures import every_kind, lattice

ARGON = LennardJones(0.0104, 3.4, 7.5)


class ManyBody(Potential):
    """No pair potential as far as anyone can see: stands for a network."""

    cutoff = ARGON.cutoff

    def compute(self, systems: Systems, pairs: Pairs) -> Evaluation:
        return ARGON.compute(systems, pairs)


def dimer(distance: float, numbers: tuple[int, int] = (18, 18)) -> Systems:
    return Systems.single(numbers, [[0, 0, 0], [0, 0, distance]])


@pytest.mark.parametrize("inner", [ARGON, ManyBody()])
def test_far_pairs_are_left_alone(inner: Potential) -> None:
    systems = every_kind()["batch"]
    guard = guarded(inner, r_min=2.0)
    for name, value in vars(ARGON.evaluate(systems)).items():
        np.testing.assert_array_equal(getattr(guard.evaluate(systems), name), value)
    assert guard.seen > 0 and guard.below == 0 and guard.fraction_below == 0


@pytest.mark.parametrize("inner", [ARGON, ManyBody()])
@pytest.mark.parametrize("kind", ["triclinic", "slab", "batch"])
def test_forces_and_virial_are_derivatives_of_the_energy(kind: str, inner: Potential) -> None:
    guard, systems = guarded(inner, r_min=3.5), every_kind(3.4)[kind]
    check_forces(guard, systems, sample=24)
    check_virial(guard, systems, step=1e-6)  # a pair is at the cutoff, where forces jump
    assert guard.below > 0


@pytest.mark.parametrize("inner", [ARGON, ManyBody(), Born()])
def test_nothing_jumps_at_r_min(inner: Potential) -> None:
    numbers = (11, 17) if isinstance(inner, Born) else (18, 18)
    guard = guarded(inner, r_min=2.9)
    above, below = (guard.evaluate(dimer(distance, numbers)) for distance in (2.9 + 1e-9, 2.9 - 1e-9))
    assert guard.below == 1
    assert above.energy[0] == pytest.approx(below.energy[0], abs=1e-7)
    np.testing.assert_allclose(above.forces, below.forces, rtol=0, atol=1e-6)


def test_a_radial_force_goes_on_along_its_tangent() -> None:
    guard, numbers = guarded(ARGON, r_min=3.2), torch.tensor([18, 18])
    _, force = ARGON.radial(torch.tensor([3.2, 3.2 + 1e-6], dtype=torch.float64), numbers, numbers)
    slope = float(force[0] - force[1]) / 1e-6
    pushed = guard.evaluate(dimer(1.7)).forces[1, 2]
    assert pushed == pytest.approx(float(force[0]) + 1.5 * slope, rel=2e-2)  # the slope is a difference over 0.001
    steeper = guarded(ARGON, r_min=3.2, stiffness=7.0).evaluate(dimer(1.7)).forces[1, 2]
    assert steeper == pytest.approx(float(force[0]) + 1.5 * 7.0, rel=1e-9)


def test_a_force_that_attracts_more_and_more_is_turned_into_a_repulsion() -> None:
    """Born-Mayer-Huggins: at small distances the attraction wins, and ions would fuse."""
    bare, guard = Born(), guarded(Born(), r_min=0.9)
    close = dimer(0.6, (17, 17))
    assert bare.evaluate(close).forces[1, 2] < -1000
    at_bound = bare.evaluate(dimer(0.9, (17, 17))).forces[1, 2]
    assert guard.evaluate(close).forces[1, 2] == pytest.approx(at_bound + 0.3 * STIFFNESS, rel=1e-6)


def test_a_network_gets_a_repulsion_without_bound() -> None:
    guard, close = guarded(ManyBody(), r_min=2.0, stiffness=8.0), dimer(1.0)
    added = guard.evaluate(close).energy - ARGON.evaluate(close).energy
    assert added[0] == pytest.approx(8.0 * 2.0**2 / 2)
    assert guarded(ManyBody(), r_min=2.0).evaluate(dimer(1e-3)).forces[1, 2] > 1e9


@given(st.lists(st.floats(1.0, 6.0), min_size=1, max_size=6))
def test_counts_every_pair_of_every_call(distances: list[float]) -> None:
    guard = guarded(ARGON, r_min=3.0)
    for distance in distances:
        guard.evaluate(dimer(distance))
    assert guard.seen == len(distances)
    assert guard.below == sum(distance < 3.0 for distance in distances)
    assert guard.smallest == pytest.approx(min(distances), abs=1e-12)
    assert guard.fraction_below == guard.below / guard.seen
    guard.reset()
    assert (guard.seen, guard.below, guard.smallest) == (0, 0, float("inf"))


@pytest.mark.parametrize("inner", [Born(), ManyBody()])
def test_bounds_by_pair_of_elements(inner: Potential) -> None:
    guard = guarded(inner, r_min={"Na-Cl": 2.0, "Cl-Cl": 3.0})
    for numbers, below in (((11, 17), 0), ((17, 11), 0), ((17, 17), 1), ((11, 11), 0)):
        guard.reset()
        free, found = inner.evaluate(dimer(2.5, numbers)), guard.evaluate(dimer(2.5, numbers))
        assert guard.below == below
        assert (found.energy[0] != free.energy[0]) == bool(below)


@pytest.mark.parametrize("inner", [ARGON, ManyBody()])
def test_stops_and_names_the_atoms(inner: Potential) -> None:
    guard = guarded(inner, r_min=3.0, stop=True)
    guard.evaluate(dimer(3.1))
    with pytest.raises(HydrasurrError, match=r"atoms 0 \(Ar\) and 1 \(Ar\) are 2.5 Angstrom apart; .* down to 3:"):
        guard.evaluate(dimer(2.5))
    assert guard.below == 1
    with pytest.raises(HydrasurrError, match=r"atoms \d+ \(Ar\) and \d+ \(Ar\) of system 1 are 2.5 "):
        guard.evaluate(join([lattice(2), dimer(2.5)]))


def test_what_makes_no_guard() -> None:
    for r_min in (0.0, -1.0, 8.0, {}, {"Ar-Ar": 9.0}):
        with pytest.raises(HydrasurrError, match="r_min must lie between 0 and the cutoff"):
            guarded(ARGON, r_min)
    with pytest.raises(ConfigError, match="no element"):
        guarded(ARGON, {"Ar-Xx": 1.0})
    for inner in (ARGON, ManyBody()):
        with pytest.raises(HydrasurrError, match="stiffness must be a positive number, got -1"):
            guarded(inner, 1.0, stiffness=-1.0)
    assert guarded(ARGON, np.float32(1.0)).r_min == 1.0
    assert isinstance(guarded(ARGON, 1.0), RangeGuard) and isinstance(guarded(ManyBody(), 1), RangeGuard)
