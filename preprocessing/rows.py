"""Streaming reader of tables: chunks of raw rows, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from hydrasurr.text_table import column_place, read_lines
from preprocessing.card import Card


@dataclass
class Chunk:
    """Consecutive rows of a table, as text.

    Attributes
    ----------
    index : place of the chunk in the table
    first_row : number of its first row; rows are counted from 1 over all files, headers left out
    smiles, cells, split : of each row: the SMILES, the cell of each target, the cell of the split column
        ("" if there is none)
    problems : position in the chunk -> why this row could not be read; its texts are empty
    """

    index: int
    first_row: int
    smiles: list[str] = field(default_factory=list)
    cells: list[tuple[str, ...]] = field(default_factory=list)
    split: list[str] = field(default_factory=list)
    problems: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.smiles)

    @property
    def last_row(self) -> int:
        return self.first_row + len(self) - 1


def read_chunks(card: Card, size: int, limit: int | None = None) -> Iterator[Chunk]:
    """All rows of a card's files (or the first `limit`) in chunks of `size`; only the last may be shorter.

    Raises ConfigError naming the file if it cannot be read or lacks a column.
    """
    records = (record for file in card.files for record in _records(card, Path(file)))
    if limit is not None:
        records = islice(records, limit)
    index, row = 0, 1
    while batch := list(islice(records, size)):
        chunk = Chunk(index, row)
        for position, record in enumerate(batch):
            if isinstance(record, str):
                chunk.problems[position] = record
                record = _UNREADABLE
            chunk.smiles.append(record[0])
            chunk.cells.append(record[1])
            chunk.split.append(record[2])
        yield chunk
        index, row = index + 1, row + len(batch)


Record = tuple[str, tuple[str, ...], str]
_UNREADABLE: Record = ("", (), "")


def _records(card: Card, file: Path) -> Iterator[Record | str]:
    """(SMILES, target cells, split cell) of each row, or why it cannot be read."""
    lines = read_lines(file, card.format)
    header = next(lines)
    wanted = [card.smiles, *(target.column for target in card.targets)]
    if card.split.column:
        wanted.append(card.split.column)
    places = [column_place(column, header, file) for column in wanted]
    smiles, *targets = places[: 1 + len(card.targets)]
    split = places[-1] if card.split.column else None
    last = max(places)
    for line in lines:
        if isinstance(line, str):
            yield line
        elif len(line) <= last:
            yield f"{len(line)} cells, the header has {len(header)}" if line else "empty row"
        else:
            cells = tuple([line[place] for place in targets])
            yield line[smiles], cells, "" if split is None else line[split]
