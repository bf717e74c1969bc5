"""Orders that are computed place by place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.loading.permutation import DRAWN_WHOLE, FeistelPermutation, permutation

seeds = st.tuples(st.integers(0, 2**31), st.integers(0, 1000))


@given(st.integers(1, 5000), seeds)
def test_every_number_once(size: int, seed: tuple[int, ...]) -> None:
    numbers = FeistelPermutation(size, seed)(np.arange(size))
    assert numbers.dtype == np.int64
    assert sorted(numbers.tolist()) == list(range(size))


@given(st.integers(1, 10**15), seeds, st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=50))
def test_parts_agree_with_the_whole(size: int, seed: tuple[int, ...], parts: list[float]) -> None:
    """Asked one by one or together, in any order, with repeats: the same numbers, all within the size."""
    places = np.array([int(part * size) for part in parts])
    order = FeistelPermutation(size, seed)
    together = order(places)
    assert together.tolist() == [int(order(places[k : k + 1])[0]) for k in range(len(places))]
    assert ((together >= 0) & (together < size)).all()
    assert len(set(together.tolist())) == len(set(places.tolist()))


def test_nothing_asked() -> None:
    assert FeistelPermutation(100, (0, 0))(np.zeros(0, np.int64)).tolist() == []


@pytest.mark.parametrize("size", [0, 1, 1000, DRAWN_WHOLE, DRAWN_WHOLE + 1])
def test_small_and_large_orders(size: int) -> None:
    places = np.arange(size)
    numbers = permutation(size, (7, 1))(places)
    assert np.array_equal(np.sort(numbers), places)
    assert size < 2 or not np.array_equal(numbers, places)


def standard_score(counts: np.ndarray) -> float:
    """Of the chi-squared statistic for equal expected counts."""
    expected, freedom = counts.mean(), counts.size - 1
    return float((((counts - expected) ** 2 / expected).sum() - freedom) / np.sqrt(2 * freedom))


def test_every_place_gets_every_number_equally_often() -> None:
    size, orders = 50, 5000
    found = np.stack([FeistelPermutation(size, (3, seed))(np.array([0, 1, 24, 49])) for seed in range(orders)])
    for numbers in found.T:
        assert standard_score(np.bincount(numbers, minlength=size)) < 4


def test_pairs_are_equally_likely() -> None:
    size, orders = 9, 10_000
    first, second = np.stack([FeistelPermutation(size, (5, seed))(np.array([3, 4])) for seed in range(orders)]).T
    pairs = np.bincount(first * size + second, minlength=size * size)
    assert standard_score(pairs[~np.eye(size, dtype=bool).ravel()]) < 5


def test_a_part_of_a_large_order_looks_random() -> None:
    """A run of places: numbers and their differences are spread evenly, and neighbours are not correlated."""
    size, run = 1_000_003_000, 200_000
    numbers = FeistelPermutation(size, (0, 0))(np.arange(run) + 123_456_789)
    other = FeistelPermutation(size, (0, 1))(np.arange(run) + 123_456_789)
    for values in (numbers, np.diff(numbers) % size, (numbers - other) % size):
        assert abs(standard_score(np.histogram(values, 500, (0, size))[0])) < 4
    for a, b in ((numbers[:-1], numbers[1:]), (numbers, other), (numbers, np.arange(run))):
        assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(run)
