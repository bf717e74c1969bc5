"""Structures as tables; their radius graphs against the neighbour lists of ASE."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.errors import StructureError
from hydrasurr.graphs import concatenate, structures
from hydrasurr.graphs.pyg import from_pyg, to_pyg
from hydrasurr.graphs.structures import edge_vectors, structure_schema, to_systems, to_table, with_radius_graph, within
from hydrasurr.graphs.systems import Systems
from tests.structures import atoms_in_space, edges_of, ethanols, labelled_table, silicons, slow_edges, systems_of
from tests.tables import assert_same_table


def radius_graph(atoms: list[Atoms], cutoff: float):
    return with_radius_graph(to_table(systems_of(atoms)), cutoff).validate()


def assert_same_edges(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-9)


# -- radius graphs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cutoff", [1.2, 3.0, 5.0, 30.0])
def test_molecules(cutoff: float) -> None:
    table = radius_graph(ethanols()[:20], cutoff)
    assert_same_edges(edges_of(table), slow_edges(ethanols()[:20], cutoff))
    assert (table.num_edges == 20 * 36) == (cutoff >= 5.0)
    assert not table.columns["shift"].any()


@pytest.mark.parametrize("cutoff", [2.5, 6.0])
def test_crystals_in_cells_of_many_shapes(cutoff: float) -> None:
    atoms = silicons()[::6]
    assert_same_edges(edges_of(radius_graph(atoms, cutoff)), slow_edges(atoms, cutoff))


def test_a_cell_smaller_than_the_cutoff_has_atoms_that_meet_themselves() -> None:
    atoms = [bulk("Si"), bulk("Fe"), bulk("Mg")]  # of two, one and two atoms
    table = radius_graph(atoms, 7.0)
    assert_same_edges(edges_of(table), slow_edges(atoms, 7.0))
    iron = table[1]
    assert iron.num_nodes == 1 and iron.num_edges > 0 and not iron.edge_index.any()


def test_single_atoms_have_no_edges() -> None:
    atoms = [Atoms("He"), ethanols()[0], Atoms("Xe"), Atoms("Xe", cell=[50] * 3, pbc=True)]
    table = radius_graph(atoms, 5.0)
    assert table.counts("edge").tolist() == [0, len(slow_edges(atoms[1:2], 5.0)) // 2, 0, 0]


def test_molecules_among_crystals_stay_in_their_place() -> None:
    atoms = [silicons()[0], *ethanols()[:2], silicons()[20], ethanols()[2], Atoms("He")]
    assert_same_edges(edges_of(radius_graph(atoms, 4.0)), slow_edges(atoms, 4.0))


@given(st.lists(atoms_in_space(), min_size=1, max_size=4), st.floats(0.5, 6))
def test_any_structures(atoms: list[Atoms], cutoff: float) -> None:
    assert_same_edges(edges_of(radius_graph(atoms, cutoff)), slow_edges(atoms, cutoff))


@given(st.lists(atoms_in_space(), min_size=1, max_size=3), st.floats(0.5, 3), st.floats(0.1, 2))
def test_dropping_edges_gives_the_smaller_graph(atoms: list[Atoms], cutoff: float, more: float) -> None:
    larger = radius_graph(atoms, cutoff + more)
    assert_same_edges(edges_of(within(larger, cutoff).validate()), edges_of(radius_graph(atoms, cutoff)))
    assert within(larger, cutoff + more + 1) is larger


@given(atoms_in_space(), st.integers(0, 2**32))
def test_wrapping_atoms_changes_nothing_but_shifts(atoms: Atoms, seed: int) -> None:
    moved = atoms.copy()
    if atoms.pbc.any():
        cells = np.random.default_rng(seed).integers(-3, 4, (len(atoms), 3)) * atoms.pbc
        moved.positions += cells @ atoms.cell.complete().array
    assert_same_edges(edges_of(radius_graph([moved], 4.0)), edges_of(radius_graph([atoms], 4.0)))


def test_comparing_all_with_all_gives_what_lists_give(monkeypatch: pytest.MonkeyPatch) -> None:
    atoms = [*ethanols()[:30], Atoms("He"), Atoms("H2", [[0, 0, 0], [0, 0, 0.7]])]
    few = radius_graph(atoms, 3.0)
    monkeypatch.setattr(structures, "_PAIRS_AT_ONCE", 40)
    assert_same_table(radius_graph(atoms, 3.0), few)
    monkeypatch.setattr(structures, "_SMALL", 0)
    lists = radius_graph(atoms, 3.0)
    assert_same_edges(edges_of(lists), edges_of(few))
    assert lists.counts("edge").tolist() == few.counts("edge").tolist()


def test_atoms_too_many_cells_apart_are_told() -> None:
    far = Atoms("He2", [[0, 0, 0], [3.0 * 40_000, 0, 0]], cell=[3, 3, 3], pbc=True)
    with pytest.raises(StructureError, match="structure 1: atoms lie too many cells apart"):
        radius_graph([ethanols()[0], far], 3.5)


def test_atomic_numbers_are_whole() -> None:
    with pytest.raises(StructureError, match="atomic numbers must be whole numbers"):
        Systems.single([1.0, 6.5], np.eye(3)[:2])
    assert Systems.single([1.0, 6.0], np.eye(3)[:2]).numbers.tolist() == [1, 6]


@pytest.mark.parametrize(
    ("numbers", "positions", "cell", "pbc"),
    [
        (["Ar"], [[0, 0, 0]], None, False),
        ([18], [["a", 0, 0]], None, False),
        ([18, 18], [[0, 0, 0], [0, 0]], None, False),
        ([18], [[0, 0, 0]], "box", True),
        ([18], [[0, 0, 0]], [9, 9, 9], [True, False]),
    ],
)
def test_what_are_no_arrays_of_numbers(numbers: list, positions: list, cell: object, pbc: object) -> None:
    with pytest.raises(StructureError, match="expected arrays of numbers"):
        Systems.single(numbers, positions, cell, pbc)


def test_directions_without_a_cell_vector() -> None:
    slab = Atoms("HO", [[0, 0, 0], [0, 0, 1]], cell=[3, 4, 0], pbc=[1, 1, 0])
    np.testing.assert_array_equal(Systems.from_ase(slab).cell[0], np.diag([3, 4, 1]))
    assert_same_edges(edges_of(radius_graph([slab], 3.5)), slow_edges([slab], 3.5))
    slab.pbc = True
    with pytest.raises(StructureError, match="a periodic system needs a cell of three independent vectors"):
        Systems.from_ase(slab)
    slab.pbc = False
    np.testing.assert_array_equal(Systems.from_ase(slab).cell[0], np.diag([3, 4, 0]))


# -- tables --------------------------------------------------------------------------------------------


def test_systems_there_and_back() -> None:
    systems = systems_of([*ethanols()[:3], *silicons()[:2], Atoms("He")])
    found = to_systems(to_table(systems))
    for name in ("numbers", "positions", "cell", "pbc", "offset"):
        np.testing.assert_array_equal(getattr(found, name), getattr(systems, name))
        assert getattr(found, name).dtype == getattr(systems, name).dtype


def test_types_of_columns() -> None:
    table = with_radius_graph(labelled_table(silicons()[:2]), 3.0)
    assert {name: f"{column.dtype} {column.shape[1:]}" for name, column in table.columns.items()} == {
        "x": "uint8 (1,)",
        "position": "float64 (3,)",
        "cell": "float64 (3, 3)",
        "pbc": "uint8 (3,)",
        "y": "float64 (1,)",
        "force": "float64 (3,)",
        "stress": "float64 (3, 3)",
        "row": "int64 ()",
        "shift": "int16 (3,)",
    }
    assert not table.directed and table.edge_index.dtype == np.uint8
    assert structure_schema().node_sizes == (119,) and structure_schema().edge_sizes == ()
    assert structure_schema().nodes[0].values[table.x[0, 0]] == "Si"


def test_labels_must_fit_the_systems() -> None:
    with pytest.raises(ValueError, match="column 'force' has 8 rows, expected 9"):
        to_table(systems_of(ethanols()[:1]), forces=np.zeros((8, 3)))


def test_parts_of_a_table_keep_their_edges() -> None:
    atoms = [*ethanols()[:4], *silicons()[:3]]
    table = with_radius_graph(labelled_table(atoms), 3.0)
    chosen = [6, 1, 1, 4]
    expected = slow_edges([atoms[k] for k in chosen], 3.0)
    assert_same_edges(edges_of(table.gather(chosen)), expected)
    assert_same_edges(edges_of(concatenate([table[6:], table[1:2], table[1:2], table[4:5]])), expected)
    np.testing.assert_array_equal(table[4:5].columns["stress"], table.columns["stress"][4:5])


def test_to_pyg_and_back() -> None:
    table = with_radius_graph(labelled_table([*ethanols()[:2], bulk("Fe"), *silicons()[:1]]), 4.0)
    graphs = to_pyg(table)
    assert_same_table(from_pyg(graphs, directed=False), table)
    source, destination = graphs[3].edge_index.numpy()
    shifts = graphs[3]["shift"].numpy() @ graphs[3]["cell"].numpy()[0]
    position = graphs[3]["position"].numpy()
    length = np.linalg.norm(position[source] + shifts - position[destination], axis=1)
    assert 0 < length.max() <= 4.0  # in both directions
    graphs[3]["shift"][0] += 1
    with pytest.raises(ValueError, match="'shift' of graph 3 differs between the two directions"):
        from_pyg(graphs, directed=False)


def test_vectors_end_at_the_source() -> None:
    system = Systems.single([1, 8], [[0, 0, 0], [1, 0, 0]])
    table = with_radius_graph(to_table(system), 2.0)
    source, destination = table.edge_index[:, 0]
    np.testing.assert_array_equal(edge_vectors(table)[0], system.positions[source] - system.positions[destination])
