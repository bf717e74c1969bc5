"""The protocol of all stores: blocks of GraphTables in, slices and selections out."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from hydrasurr.errors import StoreError
from hydrasurr.graphs.table import RAGGED, GraphTable
from hydrasurr.stores.info import SPLITS, DatasetInfo


FOLDER_HEADERS = {"pickle": "pickled.json", "csv": "inline.json"}
"""The file by which a store that is a plain folder is known."""


class Split(Protocol):
    """One split of a data set, an ordered sequence of graphs."""

    block_offset: np.ndarray
    """int64 `[B + 1]`: graphs `block_offset[b]:block_offset[b + 1]` are cheapest to read together."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int, columns: Sequence[str] | None = None) -> GraphTable:
        """Graphs `start:stop` with the named columns (None: all)."""
        ...

    def gather(self, indices: np.ndarray, columns: Sequence[str] | None = None) -> GraphTable:
        """The graphs at `indices` in that order, with the named columns (None: all)."""
        ...


class GraphStore(Protocol):
    """A data set that can be read."""

    info: DatasetInfo

    def __getitem__(self, split: str) -> Split:
        """The split "train", "val" or "test"."""
        ...

    def close(self) -> None:
        """Let go of open files."""
        ...


class StoreWriter(Protocol):
    """A data set being written. Nothing that looks complete exists before `finish`."""

    def append(self, split: str, table: GraphTable) -> None:
        """Add a block of graphs at the end of a split; all blocks have the same columns."""
        ...

    def flush(self) -> None:
        """Move what was appended from memory to disk."""
        ...

    def finish(self, info: DatasetInfo) -> None:
        """Write the header and make the data set appear under its name."""
        ...

    def abort(self) -> None:
        """Give up: remove what was written."""
        ...


def check_split(split: str) -> str:
    """Return `split`, or raise StoreError if there is no such split."""
    if split not in SPLITS:
        raise StoreError(f"no split '{split}'; a data set has {', '.join(SPLITS)}")
    return split


def check_range(start: int, stop: int, size: int) -> None:
    """Raise IndexError unless `0 <= start <= stop <= size`."""
    if not 0 <= start <= stop <= size:
        raise IndexError(f"graphs {start}:{stop} outside a split of {size}")


def checksum(table: GraphTable) -> int:
    """CRC-32 of everything a table holds, the same on every machine."""
    crc = 0
    arrays = [table.counts(level).astype("<i8") for level in RAGGED if level in table.offsets]
    arrays += [table.edge_index, *(table.columns[name] for name in sorted(table.columns))]
    for array in arrays:
        crc = zlib.crc32(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False)), crc)
    return crc
