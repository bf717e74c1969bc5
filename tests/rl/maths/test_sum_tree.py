"""The tree of sums against a plain array of priorities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from hydrasurr.rl.maths.priorities import exploration, importance, priority
from hydrasurr.rl.maths.sum_tree import SumTree


@given(st.integers(1, 40), st.integers(0, 10_000))
def test_it_is_an_array_with_sums(capacity: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    tree, plain = SumTree(capacity), np.zeros(capacity)
    for _ in range(5):
        places = random.integers(capacity, size=random.integers(0, 12))
        values = random.integers(0, 5, size=len(places)).astype(float)
        tree[places] = values
        for place, value in zip(places, values, strict=True):
            plain[place] = value
        np.testing.assert_array_equal(tree[np.arange(capacity)], plain)
        assert tree.total == plain.sum()
        if plain.any():
            masses = np.arange(plain.sum()) + 0.5  # priorities are whole numbers: half of one is never on a border
            expected = np.searchsorted(plain.cumsum(), masses, side="right")
            np.testing.assert_array_equal(tree.find(masses), expected)


def test_draws_are_in_proportion() -> None:
    tree, random = SumTree(7), np.random.default_rng(0)
    priorities = np.array([1, 0, 2, 5, 0, 1, 3.0])
    tree[np.arange(7)] = priorities
    counts = np.bincount(np.concatenate([tree.sample(8, random) for _ in range(2000)]), minlength=7)
    assert not counts[priorities == 0].any()
    kept = priorities > 0
    assert chisquare(counts[kept], 16_000 * priorities[kept] / priorities.sum()).pvalue > 0.01


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.integers(0, 1000))
def test_what_has_no_priority_is_never_drawn(priorities: list[float], seed: int) -> None:
    tree = SumTree(len(priorities))
    tree[np.arange(len(priorities))] = priorities
    if not tree.total:
        with pytest.raises(ValueError, match="nothing to draw"):
            tree.sample(3, np.random.default_rng(seed))
        return
    assert (tree[tree.sample(64, np.random.default_rng(seed))] > 0).all()
    top = tree.find(np.array([np.nextafter(tree.total, 0), tree.total]))  # as rounding may ask
    assert (tree[top] > 0).all()


def test_errors() -> None:
    with pytest.raises(IndexError, match="0 to 4"):
        SumTree(5)[[5]] = 1
    for wrong in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="finite"):
            SumTree(5)[[0]] = wrong
    with pytest.raises(ValueError, match="at least one"):
        SumTree(0)


@given(st.integers(2, 30), st.integers(0, 1000), st.floats(0, 1))
def test_weights_undo_the_choice(size: int, seed: int, exponent: float) -> None:
    """With the full exponent the weighted mean over draws is the mean over all."""
    error, values = np.random.default_rng(seed).normal(size=(2, size))
    p = priority(error, 0.6)
    p /= p.sum()
    weight = importance(p, size, 1.0)
    np.testing.assert_allclose((p * weight * values).sum() / (p * weight).sum(), values.mean())
    assert importance(p, size, exponent).max() == 1
    np.testing.assert_allclose(priority(error, 0), 1)


def test_actors_explore_less_and_less() -> None:
    rates = [exploration(actor, 8) for actor in range(8)]
    assert rates[0] == 0.4 and rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0.4**8)
    assert exploration(0, 1) == 0.4
