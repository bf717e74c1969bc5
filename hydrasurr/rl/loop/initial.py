"""The molecules that a loop begins with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rdkit import Chem, rdBase

from hydrasurr.errors import HydrasurrError
from hydrasurr.shipped import find
from hydrasurr.strict import read_json
from hydrasurr.text_table import column_place, read_lines


def draw(file: Path, column: str, count: int, max_heavy_atoms: int | None, seed: int) -> list[str]:
    """Different molecules of a table at random, as canonical SMILES; rows without one are passed over.

    `file` may also be the name of a data set that comes with hydrasurr, whose card names its table and column.
    Raises HydrasurrError if it cannot be read, or has less than two molecules.
    """
    rows = list(_smiles(*_tables(file, column)))
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


def _tables(file: Path, column: str) -> tuple[list[Path], str]:
    """Files, and the column of SMILES in them."""
    if file.exists():
        return [file], column
    card = find("datasets", file)
    raw = read_json(card)
    return [card.parent / name for name in raw["files"]], raw.get("smiles", "smiles")


def _smiles(files: Sequence[Path], column: str) -> Iterator[str]:
    for file in files:
        lines = read_lines(file)
        place = column_place(column, next(lines), file)
        yield from (row[place] for row in lines if not isinstance(row, str) and len(row) > place)
