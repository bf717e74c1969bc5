"""Data sets of Lennard-Jones clusters and crystals, made on the fly, whose energies, forces and stresses are exact."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hydrasurr.graphs.schema import Target
from hydrasurr.graphs.structures import structure_schema, to_table
from hydrasurr.graphs.systems import Systems, join
from hydrasurr.graphs.table import GraphTable
from hydrasurr.stores import DatasetInfo, StructureFacts, TargetStatistics, create_writer
from hydrasurr.surrogate.potentials.lennard_jones import LennardJones

POTENTIAL = LennardJones(epsilon=0.1, sigma=2.5, cutoff=4.5)
ATOMIC_ENERGIES = {10: -7.0, 18: -40.0}
"""eV; all else is blind to the elements."""


def clusters(count: int, seed: int = 0, sizes: tuple[int, int] = (3, 6)) -> GraphTable:
    """Free clusters of neon and argon, distorted pieces of a simple cubic lattice."""
    rng = np.random.default_rng(seed)
    sites = 2.8 * np.stack(np.meshgrid(*[range(2)] * 3), axis=-1).reshape(-1, 3)
    systems = []
    for _ in range(count):
        size = rng.integers(sizes[0], sizes[1] + 1)
        positions = rng.permutation(sites)[:size] + rng.normal(scale=0.15, size=(size, 3))
        systems.append(Systems.single(rng.choice([10, 18], size), positions))
    return labelled(join(systems))


def crystals(count: int, seed: int = 0) -> GraphTable:
    """Periodic cells of four atoms, distorted and strained, with stresses."""
    rng = np.random.default_rng(seed)
    corners = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    systems = []
    for _ in range(count):
        cell = 4.0 * (np.eye(3) + rng.normal(scale=0.03, size=(3, 3)))
        positions = corners @ cell + rng.normal(scale=0.1, size=(4, 3))
        systems.append(Systems.single(rng.choice([10, 18], 4), positions, cell, True))
    return labelled(join(systems), stress=True)


def labelled(systems: Systems, stress: bool = False) -> GraphTable:
    """The systems with what the potential says of them."""
    result = POTENTIAL.evaluate(systems)
    atomic = np.vectorize(ATOMIC_ENERGIES.get)(systems.numbers)
    energy = result.energy + np.bincount(systems.system_index, atomic, minlength=len(systems))
    labels = {"stress": result.stress(systems)} if stress else {}
    return to_table(systems, energy=energy, forces=result.forces, **labels)


def write(path: Path, tables: Mapping[str, GraphTable], cutoff: float | None = None, **facts: Any) -> Path:
    """A BP data set with these splits; `cutoff` is that of the edges which the tables have. Returns `path`."""
    tables = {split: tables.get(split, tables["train"][:0]) for split in ("train", "val", "test")}
    tables = {split: table.with_columns(row=np.arange(len(table))) for split, table in tables.items()}
    train = tables["train"]
    energy, forces = train.columns["y"][:, 0], train.columns["force"]
    kinds = {"energy": energy, "forces": forces[train.node_offset[:-1]], "stress": train.columns.get("stress")}
    structures = {
        "elements": (10, 18),
        "cutoff": cutoff,
        "atomic_energies": ATOMIC_ENERGIES,
        "atomic_energies_from": "card",
        "labelled": {kind: 0 if column is None else _present(column) for kind, column in kinds.items()},
        "force_rms": float(np.sqrt(np.nanmean(forces**2))),
    }
    known = energy[np.isfinite(energy)] if np.isfinite(energy).any() else np.zeros(1)
    info = DatasetInfo(
        name="clusters",
        feature_schema=structure_schema(),
        targets=(Target("energy", "eV"),),
        graphs={split: len(table) for split, table in tables.items()},
        nodes={split: table.num_nodes for split, table in tables.items()},
        edges={split: table.num_edges for split, table in tables.items()},
        statistics=(
            TargetStatistics(count=len(known), mean=known.mean(), std=known.std(), min=known.min(), max=known.max()),
        ),
        degree_histogram=(train.num_nodes,),
        structures=StructureFacts(**(structures | facts)),
    )
    writer = create_writer("bp", path, info.feature_schema)
    for split, table in tables.items():
        if len(table):
            writer.append(split, table)
    writer.finish(info)
    return path


def _present(column: np.ndarray) -> int:
    return int(np.isfinite(column.reshape(len(column), -1)).all(1).sum())
