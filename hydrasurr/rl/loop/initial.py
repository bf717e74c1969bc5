"""The molecules that a loop begins with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rdkit import Chem, rdBase

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.molecule_table import read_smiles


def draw(file: Path, column: str, count: int, max_heavy_atoms: int | None, seed: int) -> list[str]:
    """Different molecules of a table at random, as canonical SMILES; rows without one are passed over.

    `file` and `column` as of `read_smiles`. Raises HydrasurrError as that does, and if there are less than two.
    """
    rows = read_smiles(file, column)
    order = np.random.default_rng(seed).permutation(len(rows))
    drawn: dict[str, None] = {}
    with rdBase.BlockLogs():
        for place in order.tolist():
            mol = Chem.MolFromSmiles(rows[place])
            if mol is None or not mol.GetNumAtoms() or mol.GetNumHeavyAtoms() > (max_heavy_atoms or np.inf):
                continue
            drawn[Chem.MolToSmiles(mol)] = None
            if len(drawn) == count:
                break
    if len(drawn) < 2:
        size = "" if max_heavy_atoms is None else f" of at most {max_heavy_atoms} heavy atoms"
        raise HydrasurrError(f"'{file}' has less than two molecules{size} to begin with")
    return list(drawn)
