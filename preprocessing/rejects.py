"""The list of rows (frames) that became no graph: a CSV beside the data set."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class RejectsWriter:
    """Collects the rejects of one rank, named tuples of the type `kind`, in a file; rank 0 joins these at the end.

    The list gets its name last, beside a data set that is complete.
    """

    def __init__(self, path: Path, rank: int, kind: type[tuple]):
        self.count = 0
        self.first: Any = None
        self._kind = kind
        self._path = path
        self._part = path.with_name(f"{path.name}.partial.{rank}")
        self._whole = path.with_name(f"{path.name}.partial")
        self.abort()

    def add(self, rejects: list[Any]) -> None:
        if not rejects:
            return
        self.first = self.first or rejects[0]
        self.count += len(rejects)
        with self._part.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rejects)

    @property
    def parts(self) -> list[Path]:
        return [self._part] if self.count else []

    def join(self, parts: Iterable[Path]) -> None:
        """Write the whole list from the parts of all ranks, in order; nothing without parts."""
        parts = list(parts)
        if not parts:
            return
        with self._whole.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(self._kind._fields)
            for part in parts:
                with part.open(newline="", encoding="utf-8") as lines:
                    file.writelines(lines)
                part.unlink()

    def put_in_place(self) -> Path | None:
        """Give the list its name, or without rejects remove an old one; its path."""
        if self._whole.exists():
            return self._whole.replace(self._path)
        self._path.unlink(missing_ok=True)
        return None

    def abort(self) -> None:
        for file in (self._part, self._whole):
            file.unlink(missing_ok=True)
