"""Tables of text, read row by row in bounded memory: CSV, TSV and .smi, plain or gzipped."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Literal

from hydrasurr.errors import ConfigError, did_you_mean

Format = Literal["csv", "tsv", "smi"]
_SUFFIXES: dict[str, Format] = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".smi": "smi", ".smiles": "smi"}
TABLE_SUFFIXES = tuple(_SUFFIXES)

NOT_UTF8 = "\ufffd"
"""Stands for bytes that are not UTF-8."""


def table_format(file: str | Path) -> Format:
    """The format a file's name tells. Raises ConfigError if it tells none."""
    suffixes = [suffix.lower() for suffix in Path(file).suffixes if suffix.lower() != ".gz"]
    format = _SUFFIXES.get(suffixes[-1]) if suffixes else None
    if format is None:
        known = ", ".join(_SUFFIXES)
        raise ConfigError(f"cannot tell the format of '{file}' by its name; known are {known}, each also with .gz")
    return format


def read_lines(file: str | Path, format: Format | None = None) -> Iterator[list[str] | str]:
    """The header, then the cells of each row; a malformed row is a string that says what is wrong with it.

    .smi files have `SMILES [name]` on a line and no header; theirs is `smiles, name`. An empty line is an
    empty list. Raises ConfigError naming the file if it cannot be read or has no header.
    """
    format = format or table_format(file)
    try:
        with _open_text(Path(file)) as text:
            lines = _smi_lines(text) if format == "smi" else _csv_lines(text, "\t" if format == "tsv" else ",")
            header = next(lines, None)
            if not isinstance(header, list):
                raise ConfigError(f"'{file}' is empty: {header or 'a header line is expected'}")
            yield [name.strip() for name in header]
            yield from lines
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"cannot read '{file}': {error}") from error


def column_place(column: str, header: Sequence[str], file: str | Path) -> int:
    """Position of a column. Raises ConfigError if there is none, or more than one, of that name."""
    if header.count(column) > 1:
        raise ConfigError(f"'{file}' has {header.count(column)} columns called '{column}'")
    if column not in header:
        hint = did_you_mean(column, header)
        columns = "" if "known" in hint else f" (its columns: {', '.join(header)})"
        raise ConfigError(f"'{file}' has no column '{column}'{hint}{columns}")
    return header.index(column)


def _open_text(file: Path) -> IO[str]:
    options = {"mode": "rt", "encoding": "utf-8-sig", "errors": "replace", "newline": ""}
    return gzip.open(file, **options) if file.suffix.lower() == ".gz" else open(file, **options)


def _csv_lines(text: IO[str], delimiter: str) -> Iterator[list[str] | str]:
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    while True:
        start = reader.line_num + 1
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:  # the reader goes on with the line after
            yield f"malformed row, lines {start} to {reader.line_num} of the file: {error}; a quote left open?"


def _smi_lines(text: IO[str]) -> Iterator[list[str]]:
    yield ["smiles", "name"]
    for line in text:
        parts = line.strip().split(maxsplit=1)
        yield [*parts, ""][:2] if parts else []
