"""The inline store: SMILES and targets as CSV text, turned into graphs at every read.

Smallest on disk and slowest to load; kept for comparison and for tables that are read once.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import numpy as np

from hydrasurr.errors import StoreError
from hydrasurr.graphs.smiles import featurize
from hydrasurr.graphs.table import GraphTable
from hydrasurr.stores.base import (
    FOLDER_HEADERS,
    check_columns,
    check_indices,
    check_range,
    check_split,
    check_written,
    partial_path,
    put_in_place,
)
from hydrasurr.stores.info import SPLITS, DatasetInfo, read_header

HEADER = FOLDER_HEADERS["csv"]
BLOCK = 1024


def _open(folder: Path, split: str, mode: str) -> TextIO:
    return (folder / f"{split}.csv").open(mode, newline="", encoding="utf-8")


class InlineWriter:
    """Writes the folder `path` with a CSV a split; until `finish` it is called `path` + ".partial".

    Raises StoreError for tables without SMILES or with node-level targets, which text cannot carry.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._partial = partial_path(self.path)
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)
        self._files = {split: _open(self._partial, split, "w") for split in SPLITS}
        self._csv = {split: csv.writer(file) for split, file in self._files.items()}
        self._written = dict.fromkeys(SPLITS, 0)

    def append(self, split: str, table: GraphTable) -> None:
        if not {"smiles", "row"} <= table.columns.keys() or "node_y" in table.columns:
            raise StoreError(
                f"'{self.path}': a CSV store needs the columns 'smiles' and 'row', and graph-level targets only; "
                f"there are {', '.join(table.columns)}"
            )
        writer = self._csv[check_split(split)]
        y = table.columns.get("y", np.empty((len(table), 0)))
        for row, smiles, values in zip(table.columns["row"].tolist(), table.smiles(), y.tolist(), strict=True):
            writer.writerow([row, smiles, *values])
        self._written[split] += len(table)

    def flush(self) -> None:
        for file in self._files.values():
            file.flush()

    def finish(self, info: DatasetInfo) -> None:
        check_written(self.path, self._written, info)
        for file in self._files.values():
            file.close()
        (self._partial / HEADER).write_text(info.model_dump_json(indent=1), encoding="utf-8")
        put_in_place(self._partial, self.path)

    def abort(self) -> None:
        for file in self._files.values():
            with suppress(OSError):  # a full disk does not take what is left in the buffer
                file.close()
        shutil.rmtree(self._partial, ignore_errors=True)


class InlineStore:
    """A finished inline data set."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.info = read_header(self.path / HEADER)
        self._splits = {split: InlineSplit(self, split) for split in SPLITS}

    def __getitem__(self, split: str) -> InlineSplit:
        return self._splits[check_split(split)]

    def close(self) -> None:
        """Nothing is kept open."""


class InlineSplit:
    """One split of an inline store; the text is held in memory."""

    def __init__(self, store: InlineStore, split: str):
        self._store = store
        file = store.path / f"{split}.csv"
        targets = len(store.info.graph_targets)
        try:
            with _open(store.path, split, "r") as lines:
                records = list(csv.reader(lines))
            self._row = np.array([int(record[0]) for record in records], np.int64)
            self._smiles = [record[1] for record in records]
            self._y = np.array([record[2:] for record in records], np.float64).reshape(len(records), targets)
        except (OSError, ValueError, IndexError, csv.Error) as error:
            raise StoreError(f"cannot read '{file}': {error}; convert the data set again") from error
        if len(records) != store.info.graphs[split]:
            raise StoreError(f"'{file}' has {len(records)} rows, {store.info.graphs[split]} expected")
        self.block_offset = np.append(np.arange(0, len(records), BLOCK), len(records))

    def __len__(self) -> int:
        return len(self._smiles)

    def read(self, start: int, stop: int, columns: Sequence[str] | None = None) -> GraphTable:
        check_range(start, stop, len(self))
        return self.gather(np.arange(start, stop), columns)

    def gather(self, indices: np.ndarray, columns: Sequence[str] | None = None) -> GraphTable:
        indices = check_indices(indices, len(self))
        smiles = [self._smiles[index] for index in indices]
        graphs = featurize(smiles, self._store.info.feature_schema, self._store.info.max_nodes)
        if graphs.rejects:
            reject = graphs.rejects[0]
            raise StoreError(f"'{self._store.path}', row {self._row[indices[reject.index]]}: {reject.reason}")
        table = graphs.table
        added = {"row": self._row[indices]}
        if self._y.shape[1]:
            added["y"] = self._y[indices]
        table = table.with_columns(**added).with_smiles(smiles)
        return table.select(check_columns(columns, list(table.columns), self._store.path))
