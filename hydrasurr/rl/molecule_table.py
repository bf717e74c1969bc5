"""SMILES of a table of molecules."""

from __future__ import annotations

from pathlib import Path

from hydrasurr.shipped import find
from hydrasurr.strict import read_json
from hydrasurr.text_table import column_place, read_lines


def read_smiles(file: Path, column: str) -> list[str]:
    """What stands in a column; malformed and short rows are passed over.

    Parameters
    ----------
    file : CSV, TSV or .smi, also with .gz; or the name of a data set that comes with hydrasurr, whose card names its
        tables and the column
    column : of a file; that of .smi is `smiles`

    Raises HydrasurrError if there is no such table or column.
    """
    if file.exists():
        files = [file]
    else:
        card = find("datasets", file)
        raw = read_json(card)
        files, column = [card.parent / name for name in raw["files"]], raw.get("smiles", "smiles")
    found = []
    for table in files:
        lines = read_lines(table)
        place = column_place(column, next(lines), table)
        found += [row[place] for row in lines if not isinstance(row, str) and len(row) > place]
    return found
