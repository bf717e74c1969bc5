"""What a run leaves: the data set and the list of rejected rows, or nothing at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hydrasurr.errors import HydrasurrError, StoreError
from hydrasurr.stores import DatasetInfo, StoreWriter, create_writer
from hydrasurr.stores.base import FOLDER_HEADERS
from preprocessing.crew import Crew
from preprocessing.recipe import Recipe, Scan
from preprocessing.rejects import RejectsWriter
from preprocessing.results import ChunkResult, ChunkSummary

SUFFIXES = {"bp": ".bp", "pickle": ".pickle", "csv": ".inline"}
"""Of each kind of store."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Outcome(NamedTuple):
    """What was written; `rejects` is the CSV of rejected rows, if there were any."""

    path: Path
    info: DatasetInfo
    rejects: Path | None


def check_free(out: Path, force: bool) -> None:
    """Raise StoreError unless `out` is free, or a data set that `force` says to replace."""
    if not out.exists():
        return
    if not any((out / file).exists() for file in ("md.idx", *FOLDER_HEADERS.values())):
        raise StoreError(f"'{out}' exists and is not a data set; choose another --out, or remove it yourself")
    if not force:
        raise StoreError(f"'{out}' exists; --force replaces it, --out chooses another place")


class Output:
    """This rank's part of the output, removed again if the context ends with an error.

    On a rank that writes nothing, nothing is added, and `finish` takes part in what all ranks do together.
    """

    def __init__(self, crew: Crew, kind: str, out: Path, recipe: Recipe):
        self._crew, self._out, self._recipe = crew, out, recipe
        self._summaries: list[ChunkSummary] = []
        self._rejects = RejectsWriter(_rejects_path(out), crew.rank, recipe.reject)
        self._writer: StoreWriter | None = None
        with disk_errors(out):
            if crew.writers is not None:
                from hydrasurr.stores.bp import BPWriter

                self._writer = BPWriter(out, comm=crew.writers, schema=recipe.schema)
            elif crew.rank == 0:
                self._writer = create_writer(kind, out, recipe.schema)

    def __enter__(self) -> Output:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self._rejects.abort()
            if self._writer is not None:
                self._writer.abort()

    @property
    def rejected(self) -> int:
        return self._rejects.count

    def add(self, result: ChunkResult | None) -> None:
        """Write the next chunk; None only keeps pace with the other ranks."""
        assert self._writer is not None
        with disk_errors(self._out):
            if result is not None:
                self._rejects.add(result.rejects)
                self._summaries.append(result.summary)
                for split, table in result.tables.items():
                    if len(table):
                        self._writer.append(split, table)
            self._writer.flush()

    def finish(self, scan: Scan) -> Outcome:
        """Complete the data set. Raises HydrasurrError if it would be of no use."""
        summaries = self._crew.gather(self._summaries)
        parts = self._crew.gather(self._rejects.parts)
        info = self._crew.share(lambda: self._make_info(scan, summaries))
        with disk_errors(self._out):
            self._crew.share(lambda: self._rejects.join(parts))
            if self._writer is not None:
                self._writer.finish(info)
            rejects = self._crew.share(self._rejects.put_in_place)
        return Outcome(self._out, info, rejects)

    def _make_info(self, scan: Scan, summaries: list[ChunkSummary]) -> DatasetInfo:
        try:
            return self._recipe.info(scan, summaries)
        except HydrasurrError as error:
            first = self._rejects.first
            raise HydrasurrError(f"{error}; the first reject is {first}" if first else str(error)) from None


def _rejects_path(out: Path) -> Path:
    stem = out.stem if out.suffix in SUFFIXES.values() else out.name
    return out.with_name(f"{stem}.rejects.csv")


@contextmanager
def disk_errors(out: Path) -> Iterator[None]:
    """Turn a full disk and the like, OSError from Python and RuntimeError from ADIOS2, into StoreError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = _COLOURS.sub("", str(error)).split("> : ")[-1].split("\n")[0]  # no places in ADIOS2's code
        raise StoreError(f"cannot write '{out}': {reason}") from error
