"""The inline store: SMILES and targets as CSV text, turned into graphs at every read.

Smallest on disk and slowest to load; kept for comparison and for tables that are read once.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hydrasurr.errors import StoreError
from hydrasurr.graphs.smiles import featurize
from hydrasurr.graphs.table import GraphTable
from hydrasurr.stores.base import FOLDER_HEADERS, check_range, check_split
from hydrasurr.stores.info import SPLITS, DatasetInfo

HEADER = FOLDER_HEADERS["csv"]
BLOCK = 1024


class InlineWriter:
    """Writes the folder `path` with a CSV a split; until `finish` it is called `path` + ".partial".

    Raises StoreError for tables without SMILES or with node-level targets, which text cannot carry.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._partial = self.path.with_name(self.path.name + ".partial")
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)
        self._files = {split: (self._partial / f"{split}.csv").open("w", newline="") for split in SPLITS}
        self._csv = {split: csv.writer(file) for split, file in self._files.items()}

    def append(self, split: str, table: GraphTable) -> None:
        if "smiles" not in table.columns or "node_y" in table.columns:
            raise StoreError(f"'{self.path}': a CSV store needs SMILES and graph-level targets only")
        writer = self._csv[check_split(split)]
        y = table.columns.get("y", np.empty((len(table), 0)))
        for row, smiles, values in zip(table.columns["row"].tolist(), table.smiles(), y.tolist(), strict=True):
            writer.writerow([row, smiles, *values])

    def flush(self) -> None:
        for file in self._files.values():
            file.flush()

    def finish(self, info: DatasetInfo) -> None:
        for file in self._files.values():
            file.close()
        (self._partial / HEADER).write_text(info.model_dump_json(indent=1))
        if self.path.exists():
            shutil.rmtree(self.path)
        os.replace(self._partial, self.path)

    def abort(self) -> None:
        for file in self._files.values():
            file.close()
        shutil.rmtree(self._partial, ignore_errors=True)


class InlineStore:
    """A finished inline data set."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.info = DatasetInfo.model_validate_json((self.path / HEADER).read_text())
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
        with file.open(newline="") as lines:
            records = list(csv.reader(lines))
        if len(records) != store.info.graphs[split]:
            raise StoreError(f"'{file}' has {len(records)} rows, {store.info.graphs[split]} expected")
        self._row = np.array([int(record[0]) for record in records], np.int64)
        self._smiles = [record[1] for record in records]
        targets = len(store.info.graph_targets)
        self._y = np.array([record[2:] for record in records], np.float64).reshape(-1, targets)
        self.block_offset = np.append(np.arange(0, len(records), BLOCK), len(records))

    def __len__(self) -> int:
        return len(self._smiles)

    def read(self, start: int, stop: int, columns: Sequence[str] | None = None) -> GraphTable:
        check_range(start, stop, len(self))
        return self.gather(np.arange(start, stop), columns)

    def gather(self, indices: np.ndarray, columns: Sequence[str] | None = None) -> GraphTable:
        indices = np.asarray(indices, np.int64)
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
        return table if columns is None else table.select(columns)
