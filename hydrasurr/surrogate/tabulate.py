"""Predictions as a table: the rows that came in, with values and reasons added."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TextIO

from hydrasurr.errors import HydrasurrError
from hydrasurr.surrogate.predictor import Surrogate, load
from hydrasurr.text_table import column_place, read_lines

CHUNK = 4096
"""Rows predicted at a time."""


def predict_smiles(model: str | Path, smiles: Sequence[str], out: str | Path | None, device: str = "cpu") -> int:
    """Write a CSV table of predictions for a few molecules to `out` (None: standard output).

    Returns the number of molecules without a prediction.
    """
    return _write(_surrogate(model, device), ["smiles"], ([text] for text in smiles), 0, out)


def predict_table(
    model: str | Path, table: str | Path, column: str, out: str | Path | None, device: str = "cpu"
) -> int:
    """Write the rows of a table (CSV, TSV or .smi) with predictions added, in the same order, as CSV.

    Memory does not grow with the table. Rows without a prediction get empty values and a reason. Returns their
    number. Raises ConfigError if the table cannot be read or has no such column.
    """
    lines = read_lines(table)
    header = next(lines)
    return _write(_surrogate(model, device), header, lines, column_place(column, header, table), out)


def _surrogate(model: str | Path, device: str) -> Surrogate:
    """Raises HydrasurrError for a force field."""
    surrogate = load(model, device)
    if not isinstance(surrogate, Surrogate):
        raise HydrasurrError(
            f"'{model}' is a force field: it needs atoms in space, not SMILES. Give it a file of structures: "
            f"hydrasurr evaluate {model} FILE.xyz, or use it in Python: "
            f"energy, forces, virial = hydrasurr.load('{model}')(numbers, positions)"
        )
    return surrogate


def _write(
    surrogate: Surrogate, header: list[str], rows: Iterable[list[str] | str], place: int, out: str | Path | None
) -> int:
    added = [f"{target.name} [{target.unit}]" if target.unit else target.name for target in surrogate.targets]
    failed, rows = 0, iter(rows)
    with _output(out) as file:
        writer = csv.writer(file)
        uncertain = surrogate.has_uncertainty
        stds = [f"{name} std" for name in added] if uncertain else []
        predicted = [name for pair in zip(added, stds, strict=True) for name in pair] if uncertain else added
        writer.writerow([*header, *predicted, "reason"])
        while chunk := list(islice(rows, CHUNK)):
            for cells, numbers, reason in _predict(surrogate, chunk, place, len(header)):
                failed += bool(reason)
                writer.writerow([*cells, *numbers, reason])
    return failed


def _predict(
    surrogate: Surrogate, chunk: list[list[str] | str], place: int, width: int
) -> Iterator[tuple[list[str], list[str], str]]:
    """The cells, numbers and reason of each row of a chunk."""
    smiles = [row[place] if isinstance(row, list) and place < len(row) else "" for row in chunk]
    result = surrogate.predict(smiles)
    stds = result.std if result.std is not None else [[float("nan")] * len(surrogate.targets)] * len(chunk)
    for row, values, std, reason in zip(chunk, result.values, stds, result.reasons, strict=True):
        malformed = isinstance(row, str)
        cells = [""] * width if malformed else [*row, *[""] * (width - len(row))][:width]
        pairs = zip(values, std, strict=True) if surrogate.has_uncertainty else ((value,) for value in values)
        numbers = ["" if reason else f"{number:.8g}" for pair in pairs for number in pair]
        yield cells, numbers, row if malformed else reason


@contextmanager
def _output(path: str | Path | None) -> Iterator[TextIO]:
    """The file to write, which appears whole under its name or not at all; None: standard output."""
    if path is None:
        yield sys.stdout
        return
    temporary = Path(f"{path}.partial")
    with temporary.open("w", newline="") as file:
        yield file
    os.replace(temporary, path)
