"""Fits find the parameters that data was made with, within the errors they state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hydrasurr.scaling.fit import SpeedUp, _non_negative, fit_all_reduce, fit_speed_up
from hydrasurr.scaling.models import MODELS

SIZES = 4 ** np.arange(5, 14)
RANKS = (2, 4, 8)
GRID = tuple(np.array(list(pair)) for pair in zip(*((n, s) for n in RANKS for s in SIZES), strict=True))

seconds = st.floats(1e-7, 1e-3)
seconds_a_byte = st.floats(1e-12, 1e-8)


@pytest.mark.parametrize("name", MODELS)
@given(alpha=seconds, beta=seconds_a_byte)
def test_all_reduce_parameters_are_recovered(name: str, alpha: float, beta: float) -> None:
    model = MODELS[name]
    fit = fit_all_reduce(model, *GRID, model.seconds(*GRID, alpha, beta))
    assert fit.values == pytest.approx([alpha, beta], rel=1e-5)
    assert fit.residual < 1e-6 and fit.determined


@pytest.mark.parametrize("name", MODELS)
def test_all_reduce_errors_are_honest(name: str) -> None:
    """Of many noisy data sets, about 68 % have the truth within one standard error."""
    model, truth = MODELS[name], np.array([2e-5, 5e-10])
    exact, generator, hits = model.seconds(*GRID, *truth), np.random.default_rng(0), []
    for _ in range(300):
        fit = fit_all_reduce(model, *GRID, exact * (1 + 0.05 * generator.standard_normal(len(exact))))
        hits.append(np.abs(fit.values - truth) < fit.errors)
    assert 0.6 < np.mean(hits) < 0.76


def test_the_right_all_reduce_model_fits_best() -> None:
    for truth, model in MODELS.items():
        data = model.seconds(*GRID, 3e-5, 1e-9)
        residuals = {name: fit_all_reduce(other, *GRID, data).residual for name, other in MODELS.items()}
        assert min(residuals, key=residuals.get) == truth


def test_with_one_rank_count_models_fit_alike() -> None:
    sizes = SIZES.astype(float)
    data = 4e-5 + 2e-9 * sizes
    fits = [fit_all_reduce(model, np.full(len(sizes), 2), sizes, data) for model in MODELS.values()]
    assert all(fit.residual < 1e-9 for fit in fits)
    eq7 = fits[list(MODELS).index("eq7")]
    assert eq7.values == pytest.approx([4e-5, 4e-9])


def test_eq_9_by_hand() -> None:
    model = SpeedUp(0.1, fit_speed_up([1, 2, 4, 8], [0.1, 0.1, 0.1, 0.1], [1e-3] * 4, [0, 1e-3, 2e-3, 3e-3]).fit)
    by_hand = 0.1 / (0.1 / 16 + 0.002 * 4 + 0.0003 * 15 + 1.5 * 0.004)
    assert model(16, 0.004, [0.002, 0.0003, 1.5]) == pytest.approx(by_hand)
    assert model(1, 0.0) == pytest.approx(1)


imbalances = np.array([0, 2e-3, 1.2e-3, 3e-3, 0.5e-3, 2.5e-3])
COUNTS = np.array([1, 2, 3, 4, 6, 8])


def _times(first: float, alpha: float, beta: float, gamma: float) -> np.ndarray:
    return first / COUNTS + alpha * np.log2(COUNTS) + beta * (COUNTS - 1) + gamma * imbalances


@given(first=st.floats(0.01, 10), alpha=st.floats(0, 0.1), beta=st.floats(0, 0.01), gamma=st.floats(0, 3))
def test_speed_up_parameters_are_recovered(first: float, alpha: float, beta: float, gamma: float) -> None:
    times = _times(first, alpha, beta, gamma)
    model = fit_speed_up(COUNTS, times, 1e-3 * times, imbalances)
    assert model.fit.determined
    np.testing.assert_allclose(model(COUNTS, imbalances), first / times, rtol=1e-4)
    assume(min(alpha, beta * 10, gamma * 1e-2) > 1e-3)  # so large that the tolerance does not hide them
    assert model.fit.values == pytest.approx([alpha, beta, gamma], rel=1e-3)


def test_speed_up_errors_are_honest() -> None:
    truth = np.array([4e-3, 1e-3, 2.0])
    exact, generator, hits = _times(1.0, *truth), np.random.default_rng(1), []
    for _ in range(400):
        times = exact + 1e-4 * generator.standard_normal(len(exact))
        fit = fit_speed_up(COUNTS, times, [1e-4] * len(exact), imbalances).fit
        hits.append(np.abs(fit.values - truth) < fit.errors)
    assert 0.64 < np.mean(hits) < 0.85  # misfit only ever widens them


def test_few_rank_counts_are_said_to_determine_nothing() -> None:
    model = fit_speed_up([1, 2], [1.0, 0.7], [0.01, 0.01], [0, 1e-3])
    assert not model.fit.determined
    assert model.fit.values == pytest.approx([0.2, 0, 0])
    assert model.fit.errors[0] == pytest.approx(np.hypot(0.01, 0.005))
    assert model(2, 1e-3) == pytest.approx(1 / 0.7)


def test_parameters_are_never_negative() -> None:
    """Faster than linear: nothing is left to explain."""
    model = fit_speed_up([1, 2, 4], [1.0, 0.45, 0.2], [0.01] * 3, [0, 0, 0])
    assert (model.fit.values == 0).all()
    assert (model.fit.draws(np.random.default_rng(0), 50) >= 0).all()


@given(seed=st.integers(0, 10_000), rows=st.integers(3, 9), columns=st.integers(1, 3))
def test_non_negative_least_squares_is_optimal(seed: int, rows: int, columns: int) -> None:
    """The conditions of Karush, Kuhn and Tucker: no gradient where a parameter is free, none outwards at the bound."""
    generator = np.random.default_rng(seed)
    design, target = generator.standard_normal((rows, columns)), generator.standard_normal(rows)
    values, _, residuals, _ = _non_negative(design, target)
    np.testing.assert_allclose(residuals, target - design @ values, atol=1e-10)
    gradient = -design.T @ residuals
    assert (values >= 0).all() and (gradient > -1e-6).all()
    np.testing.assert_allclose(gradient[values > 0], 0, atol=1e-8)


def test_draws_are_as_uncertain_as_the_fit() -> None:
    model = MODELS["ring"]
    noise = 1 + 0.1 * np.random.default_rng(0).standard_normal(len(GRID[0]))
    fit = fit_all_reduce(model, *GRID, model.seconds(*GRID, 3e-5, 1e-9) * noise)
    draws = fit.draws(np.random.default_rng(1), 20_000)
    assert (draws[0] == fit.values).all()
    np.testing.assert_allclose(draws[1:].std(axis=0), fit.errors, rtol=0.05)
    np.testing.assert_allclose(np.cov(draws[1:].T)[0, 1], fit.covariance[0, 1], rtol=0.2)
