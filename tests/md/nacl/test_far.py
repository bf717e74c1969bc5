"""Stand-ins for reciprocal space."""

from __future__ import annotations

import numpy as np
import pytest

from hydrasurr.graphs.systems import join
from hydrasurr.md.frame import Frame
from hydrasurr.md.nacl import far
from hydrasurr.md.nacl.bound import bound
from hydrasurr.md.nacl.far import PLACES, Labelled, errors
from hydrasurr.md.nacl.model import CHARGES, RockSalt
from hydrasurr.md.nacl.scaling import DISPLACED
from hydrasurr.md.nacl.settings import load_study
from hydrasurr.surrogate.potentials.contract import Sum
from hydrasurr.surrogate.potentials.damped_shifted import DampedShiftedForce
from hydrasurr.surrogate.potentials.pair_mlp import PairNetwork
from hydrasurr.surrogate.potentials.pair_sum import PairSum
from hydrasurr.training.pair_fit import PairFitConfig, fit_pair


@pytest.fixture(scope="module")
def model() -> RockSalt:
    return RockSalt(load_study(quick=True, cells=3))


@pytest.fixture(scope="module")
def labels(model: RockSalt) -> Labelled:
    """Twelve crystals of 216 ions displaced at random."""
    rng, crystal = np.random.default_rng(0), model.crystal()
    whole = Sum([model.born, model.coulomb()])
    frames = []
    for step in range(12):
        systems, _ = far.place(model, "crystal")
        systems = type(systems).single(
            crystal.numbers, crystal.positions + rng.normal(0, DISPLACED, (216, 3)), crystal.cell[0], True
        )
        found = whole.evaluate(systems)
        zero = np.zeros((216, 3))
        frames.append(Frame(step, step, systems, zero, found.forces, found.energy[0], found.stress(systems)[0]))
    return far.labelled(model, far.label(model, frames))


def test_labels_add_up_to_the_forces(model: RockSalt, labels: Labelled) -> None:
    for frame, coulomb in zip(labels.frames, labels.coulomb, strict=True):
        short = model.born.evaluate(frame.systems)
        assert np.allclose(short.forces + coulomb.forces, frame.forces, atol=1e-3)
        assert short.energy[0] + coulomb.energy[0] == pytest.approx(frame.energy, abs=0.02)


def test_what_stands_for_reciprocal_space(model: RockSalt, labels: Labelled) -> None:
    """A learned far part is better than none. Damped shifted forces are too, and at a longer cutoff still better."""
    train, test = labels.take(range(10)), labels.take(range(10, 12))
    config = PairFitConfig(switch=1.0, steps=250, particles=64)
    systems = join([frame.systems for frame in train.frames])
    fit = fit_pair(systems, np.concatenate([one.forces for one in train.far]), config)
    learned = PairSum([model.near, PairNetwork(fit.network, repulsive=False)])
    dsf = [DampedShiftedForce(CHARGES, 0.1, cutoff) for cutoff in (8.5, 12.0)]
    none, by_network, *by_dsf = (
        errors(potential, test, far.constant(potential, train)) for potential in (None, learned, *dsf)
    )
    assert none["of_far"] == pytest.approx(1)
    assert by_network["of_far"] < 0.6
    best = bound(train, test, 8.5)
    assert best["fitted"] < errors(learned, train, 0)["force"]
    fitted = far.fitted_damping(train, 8.5)
    assert 0.75 < best["fitted"] / errors(fitted, train, 0)["force"] < 1  # a formula near the best of pairs
    assert by_dsf[1]["of_far"] < by_dsf[0]["of_far"] < 0.4
    exact = errors(model.coulomb(), test, far.constant(model.coulomb(), train))
    assert exact["of_far"] < 0.005 and abs(exact["energy"]) < 0.01 and abs(exact["pressure"]) < 5


def test_the_damping_with_the_least_error_is_taken(labels: Labelled) -> None:
    fitted = far.fitted_damping(labels, 8.5)
    assert fitted.damping in far.DAMPINGS
    least = errors(fitted, labels.take(range(far.SCAN_FRAMES)), 0)["force"]
    for damping in (0.0, 0.3):
        assert errors(DampedShiftedForce(CHARGES, damping, 8.5), labels.take([0, 1, 2, 3]), 0)["force"] > least


def test_places(model: RockSalt) -> None:
    systems = {name: far.place(model, name) for name in PLACES}
    crystal, temperature = systems["crystal"]
    assert temperature == 298 and systems["hot"][1] == model.study.limits.hot_K
    numbers = systems["vacancies"][0].numbers
    assert len(numbers) == 214 and (numbers == 11).sum() == (numbers == 17).sum()
    strained = systems["strained"][0]
    assert np.allclose(strained.volume, crystal.volume * (1 + model.study.limits.strain))
    # Ions go with the cell: each is where it was in terms of cell vectors.
    inside = [one.positions @ np.linalg.inv(one.cell[0]) for one in (strained, crystal)]
    assert np.allclose(*inside)
    slab = systems["slab"][0]
    assert slab.cell[0, 2, 2] == pytest.approx(crystal.cell[0, 2, 2] + model.study.limits.vacuum)
    assert np.allclose(slab.positions, crystal.positions)
