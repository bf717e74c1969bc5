"""Molecules of the size of drugs."""

from __future__ import annotations

import csv

from rdkit import Chem

from benchmarks import molecules
from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.environment.smiles import from_smiles
from hydrasurr.shipped import shipped

SIZES = range(25, 31)
"""Heavy atoms."""


def drugs(count: int, sizes: range = SIZES) -> list[str]:
    """Different canonical SMILES without stereochemistry that can be edited: of ZINC, or of the shipped ESOL.

    Fewer than `count` if there are no more.
    """
    found: dict[str, None] = {}
    for text in _every():
        mol = Chem.MolFromSmiles(text)
        if mol is None or mol.GetNumAtoms() not in sizes:
            continue
        smiles = Chem.CanonSmiles(text, useChiral=0)
        try:
            from_smiles([smiles], sizes[-1])
        except HydrasurrError:
            continue
        found[smiles] = None
        if len(found) == count:
            break
    return list(found)


def _every() -> list[str]:
    if molecules.ZINC.exists():
        return molecules.smiles("ZINC", 20_000)
    with shipped("datasets")["esol"].with_name("esol.csv").open(newline="") as lines:
        return [row["smiles"] for row in csv.DictReader(lines)]
