"""Structures as tensors, from tables and from systems."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.graphs import GraphTable
from hydrasurr.graphs.neighbours import NeighbourList
from hydrasurr.graphs.structures import to_table, with_radius_graph
from hydrasurr.loading import AtomsBatch
from tests.structures import (
    atoms_in_space,
    ethanols,
    in_order,
    labelled_table,
    silicons,
    slow_edges,
    systems_of,
)

MIXED = [*ethanols()[:3], silicons()[0], Atoms("He"), bulk("Fe"), silicons()[20]]


def edges_of(batch: AtomsBatch) -> np.ndarray:
    """Rows (source, destination, vector)."""
    source, destination = batch.edge_index
    vector = batch.positions[source] + batch.shift_vector - batch.positions[destination]
    return in_order(np.column_stack([source, destination, vector]))


def assert_equal(first: AtomsBatch, second: AtomsBatch) -> None:
    for name, value in vars(first).items():
        other = getattr(second, name)
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(value, other, rtol=0, atol=0, equal_nan=True)
        else:
            assert value == other


@given(st.lists(atoms_in_space(), min_size=1, max_size=3), st.floats(0.5, 5))
def test_edges_are_those_of_ase_in_both_directions(atoms: list[Atoms], cutoff: float) -> None:
    batch, expected = AtomsBatch.from_table(to_table(systems_of(atoms)), cutoff), slow_edges(atoms, cutoff)
    assert batch.num_edges == len(expected)
    np.testing.assert_allclose(edges_of(batch), expected, atol=1e-9)
    source, destination = batch.edge_index.tolist()
    assert list(zip(destination, source, strict=True)) == sorted(zip(destination, source, strict=True))


def test_all_ways_give_the_same_edges() -> None:
    systems = systems_of(MIXED)
    bare = to_table(systems)
    ways = [
        AtomsBatch.from_table(bare, 4.0),
        AtomsBatch.from_table(with_radius_graph(bare, 4.0)),
        AtomsBatch.from_table(with_radius_graph(bare, 5.5), 4.0),
        AtomsBatch.from_systems(systems, NeighbourList(4.0).pairs(systems)),
        AtomsBatch.from_systems(systems, NeighbourList(4.0, skin=1.0).pairs(systems)),
    ]
    for batch in ways:
        np.testing.assert_allclose(edges_of(batch), slow_edges(MIXED, 4.0), atol=1e-9)


def test_atoms_and_labels_are_those_of_the_table() -> None:
    table = labelled_table(MIXED)
    batch = AtomsBatch.from_table(table, 3.0)
    assert (batch.num_graphs, batch.num_nodes) == (len(MIXED), sum(map(len, MIXED)))
    assert batch.numbers.tolist() == [number for atoms in MIXED for number in atoms.numbers]
    assert batch.system_index.tolist() == [k for k, atoms in enumerate(MIXED) for _ in atoms]
    assert batch.pbc.tolist() == [atoms.pbc.tolist() for atoms in MIXED]
    for tensor, column in (
        (batch.positions, "position"),
        (batch.cell, "cell"),
        (batch.forces, "force"),
        (batch.stress, "stress"),
    ):
        np.testing.assert_array_equal(tensor, table.columns[column])
    np.testing.assert_array_equal(batch.energy, table.y[:, 0])
    bare = AtomsBatch.from_table(table.select(["x", "position", "cell", "pbc"]), 3.0)
    assert bare.energy is bare.forces is bare.stress is None


def test_types() -> None:
    types = {
        name: (value.dtype, value.ndim)
        for name, value in vars(AtomsBatch.from_table(labelled_table(MIXED), 3.0)).items()
        if isinstance(value, torch.Tensor)
    }
    assert types == {
        "numbers": (torch.int64, 1),
        "positions": (torch.float64, 2),
        "cell": (torch.float64, 3),
        "pbc": (torch.bool, 2),
        "system_index": (torch.int64, 1),
        "edge_index": (torch.int64, 2),
        "shift_vector": (torch.float64, 2),
        "energy": (torch.float64, 1),
        "forces": (torch.float64, 2),
        "stress": (torch.float64, 3),
    }


def test_structures_without_edges() -> None:
    for batch in (
        AtomsBatch.from_table(to_table(systems_of([Atoms("He"), Atoms("Ne")])), 5.0),
        AtomsBatch.from_table(labelled_table(ethanols()[:2]), 0.1),
    ):
        assert batch.edge_index.shape == (2, 0) and batch.shift_vector.shape == (0, 3)


def test_a_batch_shares_no_memory_with_the_table() -> None:
    table = with_radius_graph(labelled_table(MIXED), 3.0)
    before, batch = AtomsBatch.from_table(table), AtomsBatch.from_table(table)
    for value in vars(batch).values():
        if isinstance(value, torch.Tensor):
            value.zero_()
    assert_equal(AtomsBatch.from_table(table), before)


def test_it_moves() -> None:
    batch = AtomsBatch.from_table(labelled_table(MIXED).select(["x", "position", "cell", "pbc", "y"]), 3.0)
    moved = batch.to("meta")
    assert moved.positions.device.type == moved.energy.device.type == "meta"
    assert moved.forces is None and moved.num_graphs == batch.num_graphs
    assert_equal(batch.to("cpu"), batch)


def test_finding_edges_needs_a_cutoff() -> None:
    table: GraphTable = labelled_table(MIXED)
    with pytest.raises(ValueError, match="a cutoff is needed"):
        AtomsBatch.from_table(table)
