"""Pairs of atoms against slower, trusted neighbour lists, and with a skin against none."""

from __future__ import annotations

import copy
import pickle
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.errors import StructureError
from hydrasurr.graphs.neighbours import NeighbourList, Pairs
from hydrasurr.graphs.systems import Systems, join

CUTOFF = 3.0
boundaries = st.tuples(st.booleans(), st.booleans(), st.booleans())


@st.composite
def systems(draw: st.DrawFn) -> Systems:
    """Up to 12 atoms, some outside their cell, in a cell that may be much smaller than the cutoff and oblique."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    edges = [draw(st.floats(1.5, 8.0)) for _ in range(3)]
    tilt = draw(st.floats(0, 0.4))
    cell = np.diag(edges) + tilt * random.uniform(-1, 1, (3, 3)) * min(edges)
    count = draw(st.integers(0, 12))
    positions = random.uniform(-0.5, 1.5, (count, 3)) @ cell
    return Systems.single(np.full(count, 18), positions, cell, draw(boundaries))


def full(pairs: Pairs) -> Counter:
    """Pairs in both directions, counted, to compare lists of any order."""
    both = pairs.both_directions()
    rows = np.column_stack([both.i, both.j, both.shift])
    return Counter(map(tuple, rows.tolist()))


def trusted(system: Systems, cutoff: float) -> Counter:
    """What ASE's Python neighbour list finds."""
    atoms = Atoms(system.numbers, system.positions, cell=system.cell[0], pbc=system.pbc[0])
    i, j, shift = neighbor_list("ijS", atoms, cutoff)
    return Counter(map(tuple, np.column_stack([i, j, shift]).tolist()))


def check_geometry(system: Systems, pairs: Pairs) -> None:
    """Vectors and distances are those of the indices and shifts."""
    expected = system.positions[pairs.j] - system.positions[pairs.i] + pairs.shift @ system.cell[0]
    np.testing.assert_allclose(pairs.vector, expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(pairs.distance, np.linalg.norm(expected, axis=1), rtol=0, atol=1e-10)


@given(systems())
def test_pairs_are_those_of_ase(system: Systems) -> None:
    pairs = NeighbourList(CUTOFF).pairs(system)
    assert full(pairs) == trusted(system, CUTOFF)
    check_geometry(system, pairs)


@given(systems(), st.integers(0, 2**32))
def test_a_skin_changes_nothing_along_a_trajectory(system: Systems, seed: int) -> None:
    """Atoms drift and are wrapped back into a cell that breathes now and then; both lists see the same."""
    random = np.random.default_rng(seed)
    skinned, plain = NeighbourList(CUTOFF, skin=0.8), NeighbourList(CUTOFF)
    for step in range(12):
        found = skinned.pairs(system)
        assert full(found) == full(plain.pairs(system))
        check_geometry(system, found)
        system = move(system, random, deform=step % 4 == 3)


def move(system: Systems, random: np.random.Generator, deform: bool) -> Systems:
    cell = system.cell @ (np.eye(3) + (0.05 * random.normal(size=(3, 3)) if deform else 0))
    scaled = system.positions @ np.linalg.inv(system.cell[0])
    scaled = np.where(random.random(len(scaled))[:, None] < 0.2, scaled - np.floor(scaled) * system.pbc[0], scaled)
    return replace(system, cell=cell, positions=scaled @ cell[0] + random.normal(0, 0.05, scaled.shape))


@given(st.lists(systems(), max_size=4))
def test_several_systems_at_once_are_each_on_its_own(parts: list[Systems]) -> None:
    if not parts:
        nothing = Systems(*(np.empty(shape) for shape in [(0,), (0, 3), (0, 3, 3), (0, 3)]), np.array([0]))
        assert len(NeighbourList(CUTOFF).pairs(nothing)) == 0
        return
    together, starts = NeighbourList(CUTOFF).pairs(join(parts)), np.cumsum([0] + [p.num_atoms for p in parts])
    owner = np.searchsorted(starts, together.i, side="right") - 1
    for index, part in enumerate(parts):
        mine = together.select(owner == index)
        mine = replace(mine, i=mine.i - starts[index], j=mine.j - starts[index])
        assert full(mine) == trusted(part, CUTOFF)


@given(systems())
def test_within_keeps_the_near_pairs(system: Systems) -> None:
    pairs = NeighbourList(CUTOFF).pairs(system)
    assert full(pairs.within(2.0)) == trusted(system, 2.0)
    assert pairs.within(CUTOFF) is pairs


def test_results_outlive_the_next_search() -> None:
    """They are no views of memory that the search overwrites."""
    random = np.random.default_rng(0)
    first, second = (Systems.single(np.full(50, 18), random.uniform(0, 8, (50, 3)), [8.0] * 3, True) for _ in range(2))
    neighbours = NeighbourList(CUTOFF, skin=0.5)
    pairs = neighbours.pairs(first)
    before = full(pairs)
    neighbours.pairs(second)
    assert full(pairs) == before
    check_geometry(first, pairs)


@pytest.mark.parametrize(("cutoff", "skin"), [(0.0, 0.0), (-1.0, 0.0), (3.0, -0.1), (np.inf, 0.0), (3.0, np.nan)])
def test_senseless_lengths_are_refused(cutoff: float, skin: float) -> None:
    with pytest.raises(ValueError, match="cutoff"):
        NeighbourList(cutoff, skin)


@given(st.lists(systems(), min_size=1, max_size=4))
def test_a_list_may_be_asked_for_other_systems(parts: list[Systems]) -> None:
    """Other atoms, cells and boundaries, and more or fewer systems, between calls."""
    neighbours = NeighbourList(CUTOFF, skin=0.8)
    for asked in (*parts, join(parts), *reversed(parts), replace(parts[0], pbc=~parts[0].pbc)):
        assert full(neighbours.pairs(asked)) == full(NeighbourList(CUTOFF).pairs(asked))


def test_a_list_can_be_copied_and_sent_to_another_process() -> None:
    system = Systems.single([18, 18], [[0, 0, 0], [2, 0, 0]])
    neighbours = NeighbourList(CUTOFF, skin=0.5)
    found = full(neighbours.pairs(system))
    for other in (copy.deepcopy(neighbours), pickle.loads(pickle.dumps(neighbours))):
        assert (other.cutoff, other.skin) == (CUTOFF, 0.5) and full(other.pairs(system)) == found


def test_positions_that_are_no_numbers_are_told() -> None:
    system = Systems.single([18, 18], [[0, 0, 0], [2, 0, 0]])
    with pytest.raises(StructureError, match="no neighbours can be found: point 0 has non-finite"):
        NeighbourList(CUTOFF).pairs(replace(system, positions=system.positions + np.nan))
