"""Mean square displacement and diffusion, against a slow twin and walks whose diffusion is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hydrasurr.errors import StructureError
from hydrasurr.md.analysis import MSD
from hydrasurr.md.analysis import msd as module
from hydrasurr.md.analysis.msd import mean_square_displacement

shapes = st.tuples(st.integers(1, 12), st.integers(1, 5), st.just(3))


@given(positions=hnp.arrays(np.float64, shapes, elements=st.floats(-100, 100)))
def test_the_same_as_the_definition(positions: np.ndarray) -> None:
    frames = len(positions)
    expected = [
        np.mean([((positions[t + lag] - positions[t]) ** 2).sum(-1).mean() for t in range(frames - lag)])
        for lag in range(frames)
    ]
    assert np.allclose(mean_square_displacement(positions), expected, rtol=1e-9, atol=1e-8)


def test_chunks_of_atoms_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    positions = np.random.default_rng(0).normal(size=(50, 17, 3)).cumsum(0)
    whole = mean_square_displacement(positions)
    monkeypatch.setattr(module, "CHUNK", 3 * 50 * 4)
    assert np.allclose(mean_square_displacement(positions), whole, rtol=1e-12)


def test_a_random_walk_diffuses_as_it_was_made() -> None:
    """Steps of variance s^2 for each direction every dt: D = s^2 / 2 dt."""
    generator = np.random.default_rng(1)
    walk = generator.normal(scale=0.3, size=(2000, 100, 3)).cumsum(0)
    msd = MSD(blocks=8, max_lag=0.1, fit_from=0.1).compute(walk, 0.2)
    expected = 0.3**2 / (2 * 0.2) * 10  # 1e-5 cm^2/s
    assert msd.diffusion_error < 0.03 * expected
    assert abs(msd.diffusion - expected) < 4 * msd.diffusion_error
    assert msd.time[1] == pytest.approx(0.2) and len(msd.time) == len(msd.msd) == 26
    assert msd.msd[0] == pytest.approx(0, abs=1e-9)
    assert (np.abs(msd.msd - 6 * expected / 10 * msd.time) <= 5 * msd.msd_error + 1e-9).all()


def test_the_error_is_that_of_repeated_walks() -> None:
    results = [
        MSD(blocks=10).compute(np.random.default_rng(seed).normal(size=(300, 10, 3)).cumsum(0), 1.0)
        for seed in range(60)
    ]
    spread = np.std([result.diffusion for result in results], ddof=1)
    assert np.mean([result.diffusion_error for result in results]) == pytest.approx(spread, rel=0.3)


def test_the_same_as_freud() -> None:
    import freud

    walk = np.random.default_rng(2).normal(size=(64, 9, 3)).cumsum(0)
    theirs = freud.msd.MSD(mode="window").compute(walk).msd
    assert np.allclose(mean_square_displacement(walk), theirs, rtol=1e-4, atol=1e-4)  # theirs has 32 bits


def test_the_ballistic_time_is_left_out() -> None:
    """Free flight up to 1 ps, then diffusion: an Ornstein-Uhlenbeck velocity, whose D is <v^2> tau."""
    generator, tau, dt = np.random.default_rng(3), 0.5, 0.05
    decay = np.exp(-dt / tau)
    velocity, path = generator.normal(size=(200, 3)), np.zeros((4000, 200, 3))
    for step in range(1, 4000):
        path[step] = path[step - 1] + velocity * dt
        velocity = decay * velocity + np.sqrt(1 - decay**2) * generator.normal(size=velocity.shape)
    exact = dt * (1 + decay) / (1 - decay) / 2 * 10
    late = MSD(blocks=5, max_lag=0.2, fit_from=0.5).compute(path, dt)
    assert abs(late.diffusion - exact) < 4 * late.diffusion_error
    early = MSD(blocks=5, max_lag=0.02, fit_from=0).compute(path, dt)
    assert early.diffusion < 0.8 * exact


def test_a_plot_shows_the_curve() -> None:
    msd = MSD(blocks=2).compute(np.random.default_rng(4).normal(size=(40, 3, 3)).cumsum(0), 0.1)
    ax = msd.plot(label="walk")
    (line,) = [line for line in ax.lines if line.get_label() == "walk"]
    assert np.array_equal(line.get_ydata(), msd.msd)


def test_misuse_is_told() -> None:
    with pytest.raises(StructureError, match="before compute"):
        _ = MSD().diffusion
    with pytest.raises(StructureError, match="12 frames are too few for 5 blocks"):
        MSD().compute(np.zeros((12, 2, 3)), 0.1)
    with pytest.raises(ValueError, match="blocks >= 2"):
        MSD(blocks=1)
