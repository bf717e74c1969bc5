"""The pickled store: one PyG `Data` object a file, the conventional layout, kept for comparison.

Unpickling runs code that the file names: open only pickled data sets that you made yourself.
"""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hydrasurr.errors import StoreError
from hydrasurr.graphs.pyg import from_pyg, to_pyg
from hydrasurr.graphs.table import GraphTable, smallest_uint
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

HEADER = FOLDER_HEADERS["pickle"]
BLOCK = 1024
"""Files in one folder."""


def _graph_file(root: Path, split: str, index: int) -> Path:
    return root / split / f"{index // BLOCK:06d}" / f"{index:012d}.pkl"


class PickleWriter:
    """Writes the folder `path`; until `finish` everything lies in `path` + ".partial"."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._partial = partial_path(self.path)
        shutil.rmtree(self._partial, ignore_errors=True)
        self._written = dict.fromkeys(SPLITS, 0)

    def append(self, split: str, table: GraphTable) -> None:
        for data in to_pyg(table):
            file = _graph_file(self._partial, check_split(split), self._written[split])
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(pickle.dumps(data, protocol=pickle.HIGHEST_PROTOCOL))
            self._written[split] += 1

    def flush(self) -> None:
        """Nothing is held back."""

    def finish(self, info: DatasetInfo) -> None:
        check_written(self.path, self._written, info)
        (self._partial / HEADER).write_text(info.model_dump_json(indent=1), encoding="utf-8")
        put_in_place(self._partial, self.path)

    def abort(self) -> None:
        shutil.rmtree(self._partial, ignore_errors=True)


class PickleStore:
    """A finished pickled data set."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.info = read_header(self.path / HEADER)

    def __getitem__(self, split: str) -> PickleSplit:
        return PickleSplit(self, check_split(split))

    def close(self) -> None:
        """Nothing is kept open."""


class PickleSplit:
    """One split of a pickled store."""

    def __init__(self, store: PickleStore, split: str):
        self._store, self._split = store, split
        size = store.info.graphs[split]
        self.block_offset = np.append(np.arange(0, size, BLOCK), size)

    def __len__(self) -> int:
        return int(self.block_offset[-1])

    def read(self, start: int, stop: int, columns: Sequence[str] | None = None) -> GraphTable:
        check_range(start, stop, len(self))
        if start == stop:  # the columns are known only from a graph
            split = next(s for s in (self._split, *SPLITS) if self._store.info.graphs[s])
            return PickleSplit(self._store, split)._load([0], columns)[:0]
        return self._load(range(start, stop), columns)

    def gather(self, indices: np.ndarray, columns: Sequence[str] | None = None) -> GraphTable:
        indices = check_indices(indices, len(self)).tolist()
        return self._load(indices, columns) if indices else self.read(0, 0, columns)

    def _load(self, indices: Iterable[int], columns: Sequence[str] | None) -> GraphTable:
        graphs = []
        for index in indices:
            file = _graph_file(self._store.path, self._split, index)
            try:
                graphs.append(pickle.loads(file.read_bytes()))
            except Exception as error:  # damaged bytes may raise anything
                raise StoreError(f"cannot read '{file}': {error}; convert the data set again") from error
        table = from_pyg(graphs, directed=self._store.info.directed)
        table = replace(table, edge_index=table.edge_index.astype(smallest_uint(self._store.info.max_nodes - 1)))
        return table.select(check_columns(columns, list(table.columns), self._store.path))
