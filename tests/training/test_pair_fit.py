"""Pair networks fitted to frames whose potential is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hydrasurr.errors import HydrasurrError
from hydrasurr.graphs.neighbours import NeighbourList
from hydrasurr.graphs.systems import Systems, join
from hydrasurr.surrogate.potentials import TOSI_FUMI_NACL, Born, LennardJones, Potential
from hydrasurr.surrogate.potentials.pair_mlp import PairNetwork
from hydrasurr.training.pair_fit import RARE, Neighbourhoods, PairFit, PairFitConfig, fit_pair, predict
from tests.surrogate.potentials.structures import lattice

ARGON = LennardJones(epsilon=0.0104, sigma=3.4, cutoff=6.5)
QUICK = PairFitConfig(cutoff=6.5, hidden=(32, 32), steps=600, particles=100, learning_rate=1e-2, evaluate_every=250)


def frames(count: int = 8, numbers: tuple[int, ...] = (18,), spacing: float = 3.7) -> Systems:
    return join([lattice(4, spacing, numbers, jitter=0.2, seed=seed) for seed in range(count)])


def fitted(config: PairFitConfig = QUICK, systems: Systems | None = None, potential: Potential = ARGON) -> PairFit:
    systems = systems or frames()
    return fit_pair(systems, potential.evaluate(systems).forces, config)


def within_data(fit: PairFit, around: Neighbourhoods) -> np.ndarray:
    """bool `[N]`: which atoms have no pair closer than r_min. Such a pair is the network's own guess during a fit,
    and a straight line in a potential."""
    r_min = np.array(fit.network.spec.r_min)[around.kind]
    close = np.linalg.norm(around.vector, axis=1) < r_min
    return np.bincount(np.arange(len(around.offset) - 1).repeat(np.diff(around.offset)), close) == 0


@pytest.fixture(scope="module")
def argon() -> PairFit:
    return fitted()


def test_recovers_lennard_jones(argon: PairFit) -> None:
    assert argon.relative_rmse < 0.05
    distance = torch.linspace(argon.network.spec.r_min[0] + 0.1, 6.4, 100, dtype=torch.float64)
    force = argon.network(distance, torch.zeros(100, dtype=torch.long))
    expected = ARGON.radial(distance, torch.full((100,), 18), torch.full((100,), 18))[1]
    assert float((force - expected).abs().max()) < 0.1 * argon.network.spec.force_scale


def test_held_out_forces_are_those_of_the_potential(argon: PairFit) -> None:
    """The pairs of the fit against those of the neighbour list, distances in float64."""
    held_out = join([frames()[int(frame)] for frame in argon.test_frames])
    assert len(held_out) == 2
    np.testing.assert_array_equal(argon.reference, ARGON.evaluate(held_out).forces)
    inside = within_data(argon, Neighbourhoods(held_out, 6.5, (18,)))
    assert inside.mean() > 0.8
    potential = PairNetwork(argon.network).evaluate(held_out).forces
    np.testing.assert_allclose(potential[inside], argon.predicted[inside], rtol=0, atol=1e-6)


def test_history(argon: PairFit) -> None:
    assert argon.history[:, 0].tolist() == [250, 500, 600]
    assert (argon.history[:, 1:] > 0).all()
    assert argon.history[-1, 2] < argon.history[0, 2] < 0.5
    error = np.mean((argon.predicted - argon.reference) ** 2) / argon.network.spec.force_scale**2
    assert argon.history[-1, 2] == pytest.approx(error, rel=1e-3)  # all particles of the test frames are watched
    assert argon.relative_rmse == pytest.approx(argon.rmse / np.sqrt(np.mean(argon.reference**2)))


def test_the_force_scale_is_the_deviation_in_training(argon: PairFit) -> None:
    train = [frames()[frame] for frame in range(8) if frame not in argon.test_frames]
    forces = ARGON.evaluate(join(train)).forces
    np.testing.assert_allclose(forces.mean(0), 0, atol=1e-14)  # Newton's third law: nothing to subtract
    assert argon.network.spec.force_scale == pytest.approx(forces.std(), rel=1e-12)


def test_r_min_is_where_the_training_data_begin() -> None:
    fit = fitted(QUICK.model_copy(update={"steps": 1}))
    train = [frames()[frame] for frame in range(8) if frame not in fit.test_frames]
    distance = np.sort(np.concatenate([NeighbourList(6.5).pairs(system).distance for system in train]))
    assert len(distance) > 100 * RARE
    assert fit.network.spec.r_min == (distance[RARE],)


def test_of_few_pairs_the_closest_counts() -> None:
    distances = np.array([3.4, 3.5, 3.6])
    dimers = [Systems.single([18, 18], [[0, 0, 0], [r, 0, 0]]) for r in distances]
    fit = fitted(QUICK.model_copy(update={"steps": 2}), join(dimers))
    assert fit.network.spec.r_min == (np.delete(distances, fit.test_frames).min(),)


def test_the_seed_decides_everything() -> None:
    short = QUICK.model_copy(update={"steps": 20, "evaluate_every": 10})
    torch.manual_seed(1)
    first = fitted(short)
    torch.manual_seed(2)
    second, other = fitted(short), fitted(short.model_copy(update={"seed": 1}))
    for one, two in zip(first.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(one, two)
    np.testing.assert_array_equal(first.history, second.history)
    assert not torch.equal(first.network.networks[0][0].weight, other.network.networks[0][0].weight)
    assert torch.initial_seed() == 2


def test_two_elements_have_three_networks() -> None:
    born = Born(TOSI_FUMI_NACL, cutoff=6.5)
    fit = fitted(QUICK, frames(12, (11, 17), 2.85), born)
    assert fit.network.spec.elements == (11, 17)
    assert fit.relative_rmse < 0.1
    for kind, (first, second) in enumerate(fit.network.spec.pairs):
        distance = torch.linspace(fit.network.spec.r_min[kind], 3.6, 20, dtype=torch.float64)
        force = fit.network(distance, torch.full((20,), kind))
        expected = born.radial(distance, torch.full((20,), first), torch.full((20,), second))[1]
        assert float((force - expected).abs().max()) < 0.1 * fit.network.spec.force_scale


def test_frames_of_any_kind_together() -> None:
    """Other sizes, cells and boundaries: the neighbourhoods of a frame do not see the others."""
    mixed = join([lattice(4), lattice(3, pbc=False), lattice(2, jitter=0.1), lattice(5, shape=np.eye(3), seed=3)])
    fit = fitted(QUICK.model_copy(update={"steps": 3}), mixed)
    around = Neighbourhoods(mixed, 6.5, (18,))
    assert np.diff(around.offset)[64 : 64 + 27].max() < 27
    chosen = np.array([70, 3, 64, 200, 3])
    got = predict(fit.network, around, chosen)
    inside = within_data(fit, around)[chosen]
    assert got.shape == (5, 3) and inside.sum() > 2
    expected = PairNetwork(fit.network).evaluate(mixed).forces[chosen]
    np.testing.assert_allclose(got[inside], expected[inside], rtol=0, atol=1e-6)


def test_what_cannot_be_fitted() -> None:
    systems = frames(2)
    forces = ARGON.evaluate(systems).forces
    with pytest.raises(HydrasurrError, match="at least two"):
        fit_pair(systems[0], forces[:64], QUICK)
    with pytest.raises(HydrasurrError, match=r"\(128, 3\), got \(127, 3\)"):
        fit_pair(systems, forces[1:], QUICK)
    with pytest.raises(HydrasurrError, match="finite"):
        fit_pair(systems, np.where(np.arange(128)[:, None] == 5, np.nan, forces), QUICK)
    lonely = replace(systems, numbers=np.where(np.arange(128) % 64 == 0, 36, 18))
    with pytest.raises(HydrasurrError, match="no Kr-Kr pair is closer than 6.5"):
        fit_pair(lonely, forces, QUICK)
    with pytest.raises(HydrasurrError, match="no Ar-Ar pair"):
        fit_pair(systems, forces, QUICK.model_copy(update={"cutoff": 1.0}))
    with pytest.raises(HydrasurrError, match="all zero"):
        fit_pair(systems, 0 * forces, QUICK)
