"""Where graphs lie: three stores behind one protocol."""

from __future__ import annotations

from pathlib import Path

from hydrasurr.errors import StoreError, did_you_mean
from hydrasurr.graphs.schema import FeatureSchema
from hydrasurr.stores.base import FOLDER_HEADERS, GraphStore, Split, StoreWriter
from hydrasurr.stores.info import SPLITS, DatasetInfo, StructureFacts, TargetStatistics

KINDS = ("bp", "pickle", "csv")

__all__ = [
    "KINDS",
    "SPLITS",
    "DatasetInfo",
    "GraphStore",
    "Split",
    "StoreWriter",
    "StructureFacts",
    "TargetStatistics",
    "create_writer",
    "open_store",
    "store_kind",
]


def store_kind(path: str | Path) -> str:
    """Which store lies at `path`, told by the header it carries: "bp", "pickle" or "csv"."""
    folders = (kind for kind, header in FOLDER_HEADERS.items() if (Path(path) / header).exists())
    return next(folders, "bp")


def open_store(path: str | Path) -> GraphStore:
    """Open a data set of any kind. Raises StoreError if there is no complete one at `path`."""
    kind = store_kind(path)
    if kind == "pickle":
        from hydrasurr.stores.pickled import PickleStore

        return PickleStore(path)
    if kind == "csv":
        from hydrasurr.stores.inline import InlineStore

        return InlineStore(path)
    from hydrasurr.stores.bp import BPStore

    return BPStore(path)


def create_writer(kind: str, path: str | Path, schema: FeatureSchema | None = None) -> StoreWriter:
    """A writer of a new data set of the given kind. Raises StoreError for an unknown kind.

    With the schema of the graphs, a BP data set takes half the space.
    """
    if kind == "bp":
        from hydrasurr.stores.bp import BPWriter

        return BPWriter(path, schema=schema)
    if kind == "pickle":
        from hydrasurr.stores.pickled import PickleWriter

        return PickleWriter(path)
    if kind == "csv":
        from hydrasurr.stores.inline import InlineWriter

        return InlineWriter(path)
    raise StoreError(f"no store '{kind}'{did_you_mean(kind, KINDS)}")
