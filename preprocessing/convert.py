"""The same graphs in another kind of store."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from hydrasurr.stores import SPLITS, create_writer, open_store
from hydrasurr.stores.info import FORMAT_VERSION
from preprocessing.output import check_free, disk_errors


def convert_store(
    source: Path,
    destination: Path,
    kind: str,
    force: bool,
    advance: Callable[[int], None] = lambda graphs: None,
) -> None:
    """Copy `source` block by block, calling `advance(graphs)` after each.

    Raises StoreError if `source` is no data set, `destination` is taken, or the graphs have columns that the
    kind of store cannot hold.
    """
    store = open_store(source)
    check_free(destination, force)
    with disk_errors(destination):
        writer = create_writer(kind, destination, store.info.feature_schema)
    try:
        for split in SPLITS:
            for start, stop in pairwise(store[split].block_offset.tolist()):
                table = store[split].read(start, stop)
                with disk_errors(destination):
                    writer.append(split, table)
                    writer.flush()
                advance(stop - start)
        with disk_errors(destination):
            writer.finish(store.info.model_copy(update={"format_version": FORMAT_VERSION}))
    except BaseException:
        writer.abort()
        raise
    store.close()
