"""Does a data set still hold what was written?"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from hydrasurr.errors import HydrasurrError
from hydrasurr.stores import SPLITS, Split, open_store
from hydrasurr.stores.base import checksum


class Damage(NamedTuple):
    """Graphs `start:stop` of a split cannot be trusted."""

    split: str
    start: int
    stop: int
    reason: str

    def __str__(self) -> str:
        return f"{self.split}, graphs {self.start} to {self.stop - 1}: {self.reason}"


class Report(NamedTuple):
    """What was read. `checksums` is False for stores that keep none: then changed values go unnoticed."""

    blocks: int
    graphs: int
    checksums: bool
    damages: list[Damage]


def verify_store(path: Path, advance: Callable[[int], None] = lambda graphs: None) -> Report:
    """Read every block, calling `advance(graphs)` after each. Raises StoreError if there is no data set."""
    store = open_store(path)
    damages, blocks, checksums = [], 0, False
    for name in SPLITS:
        split = store[name]
        expected = split.block_checksums().tolist() if hasattr(split, "block_checksums") else None
        checksums = checksums or expected is not None
        for block, (start, stop) in enumerate(pairwise(split.block_offset.tolist())):
            reason = _problem(split, start, stop, None if expected is None else expected[block])
            if reason:
                damages.append(Damage(name, start, stop, reason))
            blocks += 1
            advance(stop - start)
    store.close()
    return Report(blocks, sum(store.info.graphs.values()), checksums, damages)


def _problem(split: Split, start: int, stop: int, expected: int | None) -> str:
    """Why a block is damaged, or an empty string."""
    try:
        table = split.read(start, stop)
        if expected is not None and checksum(table) != expected:
            return "the checksum differs"
        table.validate()
    except (HydrasurrError, ValueError, IndexError) as error:
        return str(error)
    return ""
