"""The benchmark of the shard plan notices a plan that is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.plan import block_offset, check_disjoint

RANGES = [(40, 70), (0, 10), (70, 71), (10, 40)]


def check(ranges: list[tuple[int, int]], graphs: int = 80, expected: int = 71) -> None:
    starts, stops = np.array(ranges).T
    check_disjoint((starts, stops), graphs, expected)


def test_a_good_plan() -> None:
    check(RANGES)


@pytest.mark.parametrize("planted, problem", [((39, 40), "graph 39 came twice"), ((5, 6), "graph 5 came twice")])
def test_a_graph_that_comes_twice(planted: tuple[int, int], problem: str) -> None:
    with pytest.raises(AssertionError, match=problem):
        check([*RANGES, planted], expected=72)


def test_a_graph_that_is_missing_or_that_there_is_not() -> None:
    with pytest.raises(AssertionError, match="70 graphs were planned, 71 expected"):
        check(RANGES[:2] + RANGES[3:])
    with pytest.raises(AssertionError, match="0 to 71 were planned of 60"):
        check(RANGES, graphs=60)


@given(st.integers(1, 100_000), st.integers(1, 5000))
def test_blocks(graphs: int, rows: int) -> None:
    offset = block_offset(graphs, rows)
    sizes = np.diff(offset)
    assert (offset[0], offset[-1]) == (0, graphs)
    assert 0 <= sizes.min() <= sizes.max() <= rows
