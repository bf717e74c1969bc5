"""Molecules as the columnar graph that the project's networks take."""

from __future__ import annotations

import numpy as np

from hydrasurr.graphs.schema import ELEMENTS, Feature, FeatureSchema
from hydrasurr.graphs.table import GraphTable, offsets_from_counts, smallest_uint
from hydrasurr.rl.environment.molecules import Molecules

MAX_CHARGE, MAX_HYDROGENS = 3, 4
FLAG = ("no", "yes")
STATE_SCHEMA = FeatureSchema(
    nodes=(
        Feature("element", tuple(ELEMENTS)),
        Feature("formal_charge", tuple(map(str, range(-MAX_CHARGE, MAX_CHARGE + 1)))),
        Feature("hydrogens", tuple(map(str, range(MAX_HYDROGENS + 1)))),
        Feature("ring", FLAG),
    ),
    edges=(Feature("order", ("single", "double", "triple")), Feature("ring", FLAG)),
    explicit_hydrogens=False,
)
"""What an agent sees: everything that decides what may be done next, without RDKit's perception of aromaticity."""


def to_table(molecules: Molecules) -> GraphTable:
    """The graphs of molecules with the features of STATE_SCHEMA, atoms in their order; no RDKit."""
    exists = molecules.exists
    x = np.stack(
        [
            molecules.element[exists],
            (molecules.charge[exists].clip(-MAX_CHARGE, MAX_CHARGE) + MAX_CHARGE).astype(np.uint8),
            molecules.hydrogens[exists].clip(0, MAX_HYDROGENS).astype(np.uint8),
            molecules.ring.any(-1)[exists].astype(np.uint8),
        ],
        1,
    )
    m, i, j = np.nonzero(np.triu(molecules.bond))
    edge_attr = np.stack([molecules.bond[m, i, j].astype(np.uint8) - 1, molecules.ring[m, i, j].astype(np.uint8)], 1)
    return GraphTable(
        offsets={
            "node": offsets_from_counts(molecules.count),
            "edge": offsets_from_counts(np.bincount(m, minlength=len(molecules))),
        },
        edge_index=np.stack([i, j]).astype(smallest_uint(molecules.max_atoms)),
        columns={"x": x, "edge_attr": edge_attr},
    )
