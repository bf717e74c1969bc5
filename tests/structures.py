"""Structures for tests, real and random, and slow ways to find their pairs."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read
from ase.neighborlist import neighbor_list
from hypothesis import strategies as st

from hydrasurr.graphs import GraphTable, Target
from hydrasurr.graphs.structures import edge_vectors, structure_schema, to_table
from hydrasurr.graphs.systems import Systems, join
from hydrasurr.stores import StructureFacts
from tests.conftest import ROOT
from tests.tables import make_info


@cache
def ethanols() -> list[Atoms]:
    """100 structures of ethanol in vacuum, with energies and forces."""
    return read(ROOT / "datasets/ethanol/train.xyz.gz", ":100")


@cache
def silicons() -> list[Atoms]:
    """25 periodic structures of silicon in cells of many shapes."""
    return read(ROOT / "datasets/silicon/Si_test.xyz.gz", ":")


def systems_of(atoms: list[Atoms]) -> Systems:
    return join([Systems.from_ase(a) for a in atoms])


def labelled_table(atoms: list[Atoms], seed: int = 0) -> GraphTable:
    """A table of structures with labels, some of them missing, and `row`; the stresses are random."""
    random, systems = np.random.default_rng(seed), systems_of(atoms)
    stress = random.normal(size=(len(atoms), 3, 3))
    stress[::3] = np.nan
    forces = random.normal(size=(systems.num_atoms, 3))
    forces[: systems.offset[1]] = np.nan
    table = to_table(systems, energy=random.normal(size=len(atoms)), forces=forces, stress=stress)
    return table.with_columns(row=100 + np.arange(len(atoms)))


def structure_info(tables: dict[str, GraphTable], cutoff: float | None = None) -> Any:
    """The header of a data set with these splits."""
    facts = StructureFacts(elements=(1, 6, 8, 14), cutoff=cutoff, labelled={"energy": 1, "forces": 1, "stress": 1})
    return make_info(
        tables, feature_schema=structure_schema(), targets=[Target("energy", "eV")], max_nodes=1000, structures=facts
    )


@st.composite
def atoms_in_space(draw: st.DrawFn) -> Atoms:
    """Up to eight atoms, far from each other or not, inside the cell or not, periodic along any of its vectors."""
    size = draw(st.integers(1, 8))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    lengths = random.uniform(1.5, 7, 3)
    cell = np.diag(lengths) + random.uniform(-0.4, 0.4, (3, 3)) * lengths[:, None]
    pbc = draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    positions = random.uniform(-1, 2, (size, 3)) @ cell
    return Atoms(random.integers(1, 119, size), positions, cell=cell if any(pbc) else None, pbc=pbc)


def slow_edges(atoms: list[Atoms], cutoff: float) -> np.ndarray:
    """ASE's pairs, both directions, as rows (source, destination, vector), in an order of its own."""
    first, parts = 0, [np.empty((0, 5))]
    for a in atoms:
        destination, source, vector = neighbor_list("ijD", a, cutoff)
        parts.append(np.column_stack([source + first, destination + first, vector]))
        first += len(a)
    return in_order(np.concatenate(parts))


def edges_of(table: GraphTable) -> np.ndarray:
    """The edges of a table as those of `slow_edges`."""
    source, destination = table.edge_index + table.node_offset[:-1].repeat(table.counts("edge"))
    vector = edge_vectors(table)
    there, back = np.column_stack([source, destination, vector]), np.column_stack([destination, source, -vector])
    return in_order(np.concatenate([there, back]))


def in_order(rows: np.ndarray) -> np.ndarray:
    """Rows by source, destination and vector; noise in the last digits does not change the order."""
    coarse = np.floor(rows * 1e4 + 0.3173105)  # no number of a file lies on the border between two values
    return rows[np.lexsort(coarse.T[::-1])]
