"""A data set with more graphs at the end of its splits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hydrasurr.errors import StoreError
from hydrasurr.graphs.table import GraphTable
from hydrasurr.stores.base import GraphStore, restore
from hydrasurr.stores.bp import BPStore, BPWriter
from hydrasurr.stores.info import SPLITS, DatasetInfo

BLOCK = 4096
"""Graphs that are copied at once; small blocks of the source become blocks of so many."""


def extend(source: str | Path, new: Mapping[str, GraphTable], info: DatasetInfo, out: str | Path | None = None) -> None:
    """Write the BP data set `source` with new graphs after those it has in each split.

    The new data set grows beside `out` and appears there when it is whole; whoever is killed before leaves what was
    there. A `source` that an earlier call, killed, has left under another name gets its name back first.

    Parameters
    ----------
    new : split -> graphs with the columns of the old ones; splits may be missing
    info : the header of both together
    out : by default the place of `source`, whose graphs are all kept

    Raises StoreError if the columns differ, or if `info` counts other graphs than there are.
    """
    source = Path(source)
    restore(source)
    store, writer = BPStore(source), BPWriter(Path(out or source), schema=info.feature_schema)
    try:
        _require_columns(store, new)
        for split in SPLITS:
            old = store[split]
            for start in range(0, len(old), BLOCK):
                writer.append(split, old.read(start, min(start + BLOCK, len(old))))
            if split in new:
                writer.append(split, new[split])
            writer.flush()
        store.close()
        writer.finish(info)
    except BaseException:
        writer.abort()
        raise


def _require_columns(store: GraphStore, new: Mapping[str, GraphTable]) -> None:
    there = set(store["train"].columns)
    for table in new.values():
        if set(table.columns) != there:
            raise StoreError(f"new graphs have the columns {sorted(table.columns)}, the old ones {sorted(there)}")
