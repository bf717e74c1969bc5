"""The first pass over a table: how many rows, which files exactly, and how to split it. No chemistry yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hydrasurr.errors import ConfigError
from preprocessing.card import Card
from preprocessing.card_base import file_hashes
from preprocessing.crew import Crew
from preprocessing.rows import Chunk, read_chunks
from preprocessing.splits import (
    BINS,
    ColumnPlan,
    RandomPlan,
    ScaffoldPlan,
    SplitPlan,
    hash_bins,
    scaffold_hashes,
)

_SMALLEST_CHUNK, _LARGEST_CHUNK, _CHUNKS = 256, 4096, 256
_MERGE_AT = 1 << 20


@dataclass(frozen=True)
class TableScan:
    """Facts about the files of a card.

    Attributes
    ----------
    rows : data rows, good and bad, at most the limit
    sha256 : of each file, by its name
    random_plan : if the card asks for a random split
    """

    rows: int
    sha256: dict[str, str]
    random_plan: RandomPlan | None

    unit = "rows"

    @property
    def chunk_size(self) -> int:
        """Rows in a chunk: a matter of the table alone, so that every crew makes the same chunks."""
        return min(max(-(-self.rows // _CHUNKS), _SMALLEST_CHUNK), _LARGEST_CHUNK)

    @property
    def chunks(self) -> int:
        return -(-self.rows // self.chunk_size)


def scan_table(card: Card, limit: int | None, advance: Callable[[int], None]) -> TableScan:
    """Read all rows once, calling `advance(rows)` on the way.

    Raises ConfigError if a file is missing, unreadable, without rows, or not the one the card means.
    """
    sha256 = file_hashes(card)
    rows = 0
    histogram = np.zeros(BINS, np.int64)
    for chunk in read_chunks(card, _LARGEST_CHUNK, limit):
        rows += len(chunk)
        if card.split.rule == "random":
            np.add.at(histogram, hash_bins(_usable(card, chunk), card.split.seed), 1)
        advance(len(chunk))
    if not rows:
        raise ConfigError(f"no rows in {', '.join(map(repr, card.files))}")
    plan = RandomPlan.from_histogram(card.split, histogram) if card.split.rule == "random" else None
    return TableScan(rows, sha256, plan)


def _usable(card: Card, chunk: Chunk) -> list[str]:
    """SMILES of the rows that are not rejected at first sight; only these count in the fractions."""
    return [
        smiles
        for smiles, cells in zip(chunk.smiles, chunk.cells, strict=True)
        if smiles.strip() and (not card.targets or any(map(str.strip, cells)))
    ]


def make_plan(card: Card, scan: TableScan, crew: Crew, limit: int | None, advance: Callable[[int], None]) -> SplitPlan:
    """The split plan; for scaffolds this takes a pass of its own and 16 bytes a distinct scaffold."""
    if scan.random_plan is not None:
        return scan.random_plan
    if card.split.rule == "column":
        return ColumnPlan()
    counts = ScaffoldCounts()
    for hashes in crew.map(HashScaffolds(card), read_chunks(card, scan.chunk_size, limit), scan.chunks):
        if hashes is not None:
            counts.add(hashes, np.ones(len(hashes), np.int64))
            advance(scan.chunk_size * crew.stride)
    shares = crew.gather([counts.merged()])

    def plan() -> ScaffoldPlan:
        total = ScaffoldCounts()
        for share in shares:
            total.add(*share)
        return ScaffoldPlan.from_counts(card.split, *total.merged())

    return crew.share(plan)


@dataclass(frozen=True)
class HashScaffolds:
    """Scaffold hashes of the usable rows of a chunk, as an object that can be sent to other processes."""

    card: Card

    def __call__(self, chunk: Chunk) -> np.ndarray:
        return scaffold_hashes(_usable(self.card, chunk), self.card.split.seed)


class ScaffoldCounts:
    """Number of molecules of each scaffold, counted piece by piece."""

    def __init__(self) -> None:
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []
        self._pending = 0

    def add(self, hashes: np.ndarray, counts: np.ndarray) -> None:
        self._parts.append((hashes, counts))
        self._pending += len(hashes)
        if self._pending > max(_MERGE_AT, 2 * len(self._parts[0][0])):
            self.merged()

    def merged(self) -> tuple[np.ndarray, np.ndarray]:
        """Distinct hashes (sorted) and their counts."""
        if not self._parts:
            return np.zeros(0, np.uint64), np.zeros(0, np.int64)
        hashes, place = np.unique(np.concatenate([part[0] for part in self._parts]), return_inverse=True)
        counts = np.zeros(len(hashes), np.int64)
        np.add.at(counts, place, np.concatenate([part[1] for part in self._parts]))
        self._parts, self._pending = [(hashes, counts)], 0
        return hashes, counts
