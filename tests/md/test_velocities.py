"""Velocities to begin with."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from hydrasurr.graphs.systems import Systems, join
from hydrasurr.md.state import State
from hydrasurr.md.velocities import at_rest, maxwell_boltzmann
from hydrasurr.surrogate.potentials.contract import Evaluation


def _systems(counts: list[int], seed: int) -> Systems:
    generator = np.random.default_rng(seed)
    return join([Systems.single(generator.integers(1, 90, n), generator.random((n, 3))) for n in counts])


def _state(systems: Systems, masses: np.ndarray, momenta: np.ndarray) -> State:
    nothing = Evaluation(np.zeros(len(systems)), np.zeros((len(masses), 3)), np.zeros((len(systems), 3, 3)))
    return State(systems, masses, momenta, nothing)


@given(
    counts=st.lists(st.integers(2, 9), min_size=1, max_size=4),
    temperature=st.floats(0.1, 1e4),
    seed=st.integers(0, 2**32),
)
def test_temperature_and_momentum(counts: list[int], temperature: float, seed: int) -> None:
    systems = _systems(counts, seed)
    masses = np.random.default_rng(seed).uniform(1, 200, sum(counts))
    momenta = maxwell_boltzmann(systems, masses, temperature, seed)
    assert _state(systems, masses, momenta).temperature == pytest.approx(temperature, rel=1e-12)
    totals = np.add.reduceat(momenta, systems.offset[:-1])
    assert np.abs(totals).max() < 1e-12 * np.abs(momenta).sum()
    assert np.array_equal(momenta, maxwell_boltzmann(systems, masses, temperature, seed))
    assert not np.array_equal(momenta, maxwell_boltzmann(systems, masses, temperature, seed + 1))


def test_they_are_maxwell_boltzmann() -> None:
    systems = _systems([4000], 0)
    masses = np.random.default_rng(1).uniform(1, 200, 4000)
    momenta = maxwell_boltzmann(systems, masses, 300, 2)
    reduced = momenta / np.sqrt(masses * units.kB * 300)[:, None]
    assert kstest(reduced.ravel(), "norm").pvalue > 0.01


def test_a_single_atom_rests() -> None:
    assert not maxwell_boltzmann(_systems([1], 0), np.ones(1), 300, 0).any()


def test_at_rest() -> None:
    generator = np.random.default_rng(0)
    masses, momenta = generator.uniform(1, 9, 5), generator.normal(size=(5, 3))
    still = at_rest(momenta, masses)
    assert np.allclose(still.sum(0), 0, atol=1e-14)
    relative = (momenta - still) / masses[:, None]
    assert np.allclose(relative, relative[0])  # one velocity was taken from all
