"""The protocol of all stores: blocks of GraphTables in, slices and selections out."""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
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


def check_indices(indices: np.ndarray | Sequence[int], size: int) -> np.ndarray:
    """int64 `[n]`. Raises IndexError unless all are in `[0, size)`."""
    indices = np.asarray(indices, np.int64)
    if len(indices):
        check_range(int(indices.min()), int(indices.max()) + 1, size)
    return indices


def check_columns(wanted: Sequence[str] | None, there: Sequence[str], path: Path) -> list[str]:
    """The wanted columns (None: all). Raises StoreError naming one that is not there."""
    if wanted is None:
        return list(there)
    for name in wanted:
        if name not in there:
            raise StoreError(f"'{path}' has no column '{name}'; it has {', '.join(there)}")
    return list(wanted)


def check_written(path: Path, written: Mapping[str, int], info: DatasetInfo) -> None:
    """Raise StoreError unless as many graphs were written as the header says, and not none."""
    if not any(written.values()):
        raise StoreError(f"no graphs to write to '{path}'")
    for split in SPLITS:
        if written[split] != info.graphs[split]:
            raise StoreError(
                f"'{path}': {written[split]} graphs were written to '{split}', its header says {info.graphs[split]}"
            )


def partial_path(path: Path) -> Path:
    """Where a data set lies until it is complete."""
    return path.with_name(path.name + ".partial")


def replaced_path(path: Path) -> Path:
    """Where a data set lies, complete, for the moment in which another one takes its place."""
    return path.with_name(path.name + ".old")


def put_in_place(partial: Path, path: Path) -> None:
    """Make a complete data set appear under its name; one that was there gives way.

    Whoever is killed in between leaves the old one or the new one, but maybe the old one under `replaced_path`.
    """
    old = replaced_path(path)
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(path, old)
    os.replace(partial, path)
    shutil.rmtree(old, ignore_errors=True)


def restore(path: Path) -> None:
    """Give a data set its name back that a killed `put_in_place` has left under another."""
    if not path.exists() and replaced_path(path).exists():
        os.replace(replaced_path(path), path)


def checksum(table: GraphTable) -> int:
    """CRC-32 of everything a table holds, names, types and shapes included; the same on every machine."""
    arrays = {f"{level} counts": table.counts(level) for level in RAGGED if level in table.offsets}
    arrays["edge_index"] = table.edge_index
    arrays |= {name: table.columns[name] for name in sorted(table.columns)}
    crc = zlib.crc32(b"directed" if table.directed else b"undirected")
    for name, array in arrays.items():
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        crc = zlib.crc32(f"{name} {array.dtype.str} {array.shape}".encode(), crc)
        crc = zlib.crc32(array, crc)
    return crc
