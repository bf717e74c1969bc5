"""The ADIOS2 BP store: a GraphTable a split, each column one global array.

Layout of `NAME.bp`, for each split `S` (train, val, test):

    S/x [nodes]                 S/edge_index [2, edges]     S/edge_attr [edges]
    S/y [graphs, targets]       S/node_y [nodes, targets]   S/row [graphs]    S/smiles [bytes]
    S/position, S/force [nodes, 3]   S/cell, S/stress [graphs, 3, 3]   S/pbc [graphs, 3]   S/shift [edges, 3]
    S/node_count, S/edge_count, S/char_count [graphs]       rows of each graph in the ragged columns
    S/block_offset [blocks + 1, 4]                          first graph, node, edge and byte of each block
    S/block_crc [blocks]                                    CRC-32 of each block

Molecules have no positions, structures no SMILES (format version 3). `x` and `edge_attr` hold a node's or edge's
feature codes packed into one integer (see `graphs.packing`); written without a schema they are matrices of codes,
`[rows, features]`, as in format version 1.

The columns are joined arrays: writers append blocks without knowing the total. Counts with an offset each
block take a fraction of an offset each graph and can be written before the size of earlier blocks is known.
The header is the attribute `hydrasurr` (JSON); its main fields are repeated as attributes of their own for
people who look with `bpls -a`. With an MPI build of ADIOS2, ranks write collectively: a joined array holds
the blocks of rank 0, then those of rank 1, and so on.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hydrasurr.errors import SchemaError, StoreError
from hydrasurr.graphs.packing import Packing
from hydrasurr.graphs.schema import FeatureSchema
from hydrasurr.graphs.table import LEVELS, RAGGED, GraphTable, concatenate, offsets_from_counts
from hydrasurr.stores.base import (
    check_columns,
    check_indices,
    check_range,
    check_split,
    check_written,
    checksum,
    partial_path,
    put_in_place,
    replaced_path,
)
from hydrasurr.stores.info import SPLITS, DatasetInfo, parse_header
from hydrasurr.stores.manifest import check_manifest, write_manifest

if TYPE_CHECKING:
    from mpi4py import MPI

_OFFSET_LEVELS = ("graph", *RAGGED)


def _packings(schema: FeatureSchema | None) -> dict[str, Packing]:
    """How the columns of codes are packed."""
    return {} if schema is None else {"x": Packing(schema.node_sizes), "edge_attr": Packing(schema.edge_sizes)}


def _count_dtype(schema: FeatureSchema | None) -> type[np.unsignedinteger]:
    return np.uint32 if schema is not None and not schema.edges else np.uint16


def _layout(table: GraphTable) -> dict[str, str]:
    """Type and width of each array of a table."""
    arrays = {"edge_index": table.edge_index.T, **table.columns}
    return {name: f"{array.dtype} x {array.shape[1:]}" for name, array in arrays.items()}


def adios2_has_mpi() -> bool:
    """Whether the installed ADIOS2 can write collectively."""
    import adios2

    return bool(adios2.is_built_with_mpi)


class BPWriter:
    """Writes `path`; until `finish` everything lies in `path` + ".partial".

    Parameters
    ----------
    path : the data set, conventionally `NAME.bp`
    comm : an mpi4py communicator whose ranks all write (needs an MPI build of ADIOS2). Every rank then
        calls `append` as often as it likes, `flush` equally often, and `finish`.
    schema : of the graphs, to pack their codes; None keeps them as matrices
    count_dtype : type of the counts; no graph may have more nodes, edges or SMILES bytes than it holds. By default
        uint16, and uint32 for structures, whose edges are many.
    """

    def __init__(
        self,
        path: str | Path,
        comm: MPI.Comm | None = None,
        schema: FeatureSchema | None = None,
        count_dtype: Any = None,
    ):
        import adios2

        self.path, self.comm = Path(path), comm
        self._partial = partial_path(self.path)
        self._packings = _packings(schema)
        self._count_dtype = np.dtype(count_dtype or _count_dtype(schema))
        if comm is None or comm.rank == 0:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(self._partial, ignore_errors=True)
        if comm is not None:
            comm.Barrier()
        self._stream = adios2.Stream(str(self._partial), "w", comm)
        self._joined = adios2.JoinedDim
        self._sync = adios2.bindings.Mode.Sync
        self._stream.begin_step()
        self._blocks: dict[str, list[tuple[int, ...]]] = {split: [] for split in SPLITS}
        self._empty: GraphTable | None = None  # no graphs, but all columns

    def append(self, split: str, table: GraphTable) -> None:
        if not len(table):
            return
        self._check_layout(table)
        counts = {level: table.counts(level) for level in table.offsets}
        limit = np.iinfo(self._count_dtype).max
        for level, count in counts.items():
            if count.max() > limit:
                raise StoreError(f"a graph has {count.max()} {level} rows, more than {limit}; use a wider count_dtype")
        self._put_table(check_split(split), table)
        sizes = (len(table), *(int(counts[level].sum()) if level in counts else 0 for level in RAGGED))
        self._blocks[split].append((*sizes, checksum(table)))

    def flush(self) -> None:
        """Move what was appended from memory to disk. Collective under MPI."""
        self._stream.engine.perform_data_write()

    def finish(self, info: DatasetInfo) -> None:
        shares = [(self._blocks, self._empty)] if self.comm is None else self.comm.gather((self._blocks, self._empty))
        root = shares is not None
        if root:
            blocks = {split: [block for share, _ in shares for block in share[split]] for split in SPLITS}
            written = {split: sum(graphs for graphs, *_ in blocks[split]) for split in SPLITS}
            check_written(self.path, written, info)
            empty = next(table for _, table in shares if table is not None)
            for split in SPLITS:
                if not blocks[split]:  # so that a reader finds every array in every split
                    self._put_table(split, empty)
            self._write_header(info, blocks)
        self._stream.end_step()
        self._stream.close()
        if self.comm is not None:
            self.comm.Barrier()
        if root:
            write_manifest(self._partial)
            put_in_place(self._partial, self.path)
        if self.comm is not None:
            self.comm.Barrier()

    def abort(self) -> None:
        if self.comm is None:  # under MPI the other ranks may be anywhere; ".partial" stays, and says what it is
            for file in self._partial.glob("*.*"):
                os.truncate(file, 0)  # else ADIOS2 cannot close on a full disk, and ends the process
            for close in (self._stream.end_step, self._stream.close):
                with suppress(Exception):  # whatever state the failure left
                    close()
            shutil.rmtree(self._partial, ignore_errors=True)

    def _check_layout(self, table: GraphTable) -> None:
        """All blocks must look alike: ADIOS2 would take the bytes of another type as they are."""
        layouts = [_layout(t) for t in (self._empty, table) if t is not None]
        self._empty = table[:0]
        if layouts[0] != layouts[-1]:
            first, other = ({f"{name}: {kind}" for name, kind in layout.items()} for layout in layouts)
            raise StoreError(
                f"'{self.path}': a block has other columns than the first one: {', '.join(sorted(other - first))} "
                f"instead of {', '.join(sorted(first - other))}"
            )

    def _put_table(self, split: str, table: GraphTable) -> None:
        for level in table.offsets:
            self._put(f"{split}/{level}_count", table.counts(level).astype(self._count_dtype))
        self._put(f"{split}/edge_index", table.edge_index, joined_axis=1)
        for name, column in table.columns.items():
            self._put(f"{split}/{name}", self._packed(name, column))

    def _packed(self, name: str, column: np.ndarray) -> np.ndarray:
        if name not in self._packings:
            return column
        try:
            return self._packings[name].pack(column)
        except SchemaError as error:
            raise StoreError(f"'{self.path}', column '{name}': {error}") from error

    def _put(self, name: str, array: np.ndarray, joined_axis: int = 0) -> None:
        array = np.require(array, requirements=["C", "W"])  # ADIOS2 refuses read-only memory
        count = list(array.shape)
        variable = self._stream.io.inquire_variable(name)
        if variable is None:
            shape = list(count)
            shape[joined_axis] = self._joined
            variable = self._stream.io.define_variable(name, array, shape, [], count)
        else:
            variable.set_selection([[], count])
        self._stream.engine.put(variable, array, self._sync)

    def _write_header(self, info: DatasetInfo, blocks: dict[str, list[tuple[int, ...]]]) -> None:
        for split, rows in blocks.items():
            table = np.array(rows, np.int64).reshape(-1, len(_OFFSET_LEVELS) + 1)
            offsets = np.concatenate([np.zeros((1, 4), np.int64), np.cumsum(table[:, :-1], axis=0)])
            for name, array in (("block_offset", offsets), ("block_crc", table[:, -1].astype(np.uint32))):
                shape = list(array.shape)
                if array.size:  # there is always a block_offset, even of no blocks
                    self._stream.write(f"{split}/{name}", np.ascontiguousarray(array), shape, [0] * len(shape), shape)
        write = self._stream.write_attribute
        write("hydrasurr", info.model_dump_json())
        write("format_version", np.int64(info.format_version))
        write("schema_version", np.int64(info.feature_schema.version))
        write("feature_schema", info.feature_schema.to_json())
        write("node_features", [feature.name for feature in info.feature_schema.nodes])
        write("edge_features", [feature.name for feature in info.feature_schema.edges])
        write("degree_histogram", np.array(info.degree_histogram, np.int64))
        if info.targets:
            write("target_names", [target.name for target in info.targets])
            write("target_units", [target.unit or "1" for target in info.targets])
            for key in ("mean", "std", "min", "max"):
                write(f"target_{key}", np.array([getattr(s, key) for s in info.statistics]))


class BPStore:
    """A finished BP data set, read with the serial or the MPI build alike; safe to use from several threads.

    Raises StoreError if `path` is not a complete data set of a known format.
    """

    def __init__(self, path: str | Path):
        import adios2

        self.path = Path(path)
        partial, old = partial_path(self.path), replaced_path(self.path)
        if not self.path.exists():
            hint = f"; '{partial}' is what an interrupted run left: preprocess again" if partial.exists() else ""
            hint = f"; '{old}' is the one that another was to replace: give it back its name" if old.exists() else hint
            raise StoreError(f"no data set at '{self.path}'{hint}")
        check_manifest(self.path)
        try:
            self._file = adios2.FileReader(str(self.path))
            header = self._file.read_attribute("hydrasurr")
        except Exception as error:  # ADIOS2 raises bare RuntimeError, ValueError and others
            raise StoreError(f"'{self.path}' is not a readable ADIOS2 BP data set: {error}") from error
        self.info = parse_header(header, self.path)
        self._variables = self._file.available_variables()
        self._packings = {
            f"{split}/{name}": packing
            for name, packing in _packings(self.info.feature_schema).items()
            for split in SPLITS
            if self.has(f"{split}/{name}") and len(self.shape(f"{split}/{name}")) == 1
        }
        self._lock = threading.Lock()
        self._splits = {split: BPSplit(self, split) for split in SPLITS}

    def __getitem__(self, split: str) -> BPSplit:
        return self._splits[check_split(split)]

    def close(self) -> None:
        with self._lock:
            self._file = None  # closes it; a call of its `close` would leave a file of timings in /tmp

    def has(self, name: str) -> bool:
        """Whether there is a global array of that name."""
        return name in self._variables

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(int(part) for part in self._variables[name]["Shape"].split(","))

    def dtype(self, name: str) -> np.dtype:
        import adios2

        return np.dtype(adios2.type_adios_to_numpy(self._variables[name]["Type"]))

    def array(self, name: str, start: int, stop: int, axis: int = 0) -> np.ndarray:
        """Rows `start:stop` along `axis` of a global array, codes unpacked. Raises StoreError if that fails."""
        shape = self.shape(name)
        offset, count = [0] * len(shape), list(shape)
        offset[axis], count[axis] = int(start), int(stop - start)
        if stop > shape[axis]:
            raise StoreError(f"'{self.path}': '{name}' has {shape[axis]} rows, {stop} expected; run verify")
        if stop == start:  # ADIOS2 cannot read nothing
            empty = np.empty(count, self.dtype(name))
            return self._packings[name].unpack(empty) if name in self._packings else empty
        with self._lock:
            if self._file is None:
                raise StoreError(f"'{self.path}' cannot be read any more: it was closed")
            try:
                array = self._file.read(name, start=offset, count=count)
            except Exception as error:
                raise StoreError(f"'{self.path}': cannot read '{name}': {error}; run verify") from error
        return self._packings[name].unpack(array) if name in self._packings else array

    def row_bytes(self, name: str) -> int:
        """Bytes of all rows of a global array as `array` returns them."""
        shape = self.shape(name)
        if name in self._packings:
            return shape[0] * self._packings[name].features
        return int(np.prod(shape)) * self.dtype(name).itemsize


class BPSplit:
    """One split of a BP store."""

    def __init__(self, store: BPStore, split: str):
        self._store = store
        offsets = f"{split}/block_offset"
        blocks = store.array(offsets, 0, store.shape(offsets)[0])
        self._block_starts = dict(zip(_OFFSET_LEVELS, blocks.T, strict=True))
        self.block_offset = self._block_starts["graph"]
        rising = not blocks[0].any() and (np.diff(blocks, axis=0) >= 0).all()
        if not rising or len(self) != store.info.graphs[split]:
            raise StoreError(f"'{store.path}': the blocks of '{split}' do not add up to its header; preprocess again")
        self._prefix = f"{split}/"
        self.columns = [name for name in LEVELS if store.has(self._prefix + name)]

    def __len__(self) -> int:
        return int(self.block_offset[-1])

    def nbytes(self, columns: Sequence[str]) -> int:
        """Bytes in memory of a table with these columns, without reading them."""
        names = [self._prefix + name for name in (*columns, "edge_index")]
        rows = sum(self._store.row_bytes(name) for name in names)
        return rows + 8 * len(RAGGED) * (len(self) + 1)

    def read(self, start: int, stop: int, columns: Sequence[str] | None = None) -> GraphTable:
        check_range(start, stop, len(self))
        names = check_columns(columns, self.columns, self._store.path)
        offsets, rows = {}, {"graph": (start, stop)}
        for level in ("node", "edge", *(["char"] if "smiles" in names else [])):
            offsets[level], rows[level] = self._offsets(level, start, stop)
        return GraphTable(
            offsets=offsets,
            edge_index=self._store.array(self._prefix + "edge_index", *rows["edge"], axis=1),
            columns={name: self._store.array(self._prefix + name, *rows[LEVELS[name]]) for name in names},
            directed=self._store.info.directed,
        )

    def gather(self, indices: np.ndarray, columns: Sequence[str] | None = None) -> GraphTable:
        """Reads each block that holds one of the graphs once; for many graphs spread over the whole split,
        read everything instead and gather from that."""
        indices = check_indices(indices, len(self))
        if not len(indices):
            return self.read(0, 0, columns)
        block = np.searchsorted(self.block_offset, indices, side="right") - 1
        wanted = np.unique(block)
        tables = [self.read(self.block_offset[b], self.block_offset[b + 1], columns) for b in wanted]
        first = offsets_from_counts(np.array([len(table) for table in tables]))[:-1]
        place = np.searchsorted(wanted, block)
        return concatenate(tables).gather(first[place] + indices - self.block_offset[block])

    def block_checksums(self) -> np.ndarray:
        """uint32 `[B]`, as written."""
        blocks = len(self.block_offset) - 1
        return self._store.array(self._prefix + "block_crc", 0, blocks) if blocks else np.zeros(0, np.uint32)

    def _offsets(self, level: str, start: int, stop: int) -> tuple[np.ndarray, tuple[int, int]]:
        """Offsets of graphs `start:stop` from 0, and the rows they have in the global array."""
        if stop == start:
            return np.zeros(1, np.int64), (0, 0)
        block = int(np.searchsorted(self.block_offset, start, side="right")) - 1
        first = int(self.block_offset[block])
        counts = self._store.array(f"{self._prefix}{level}_count", first, stop).astype(np.int64)
        offsets = offsets_from_counts(counts)[start - first :]
        base = int(self._block_starts[level][block])
        return offsets - offsets[0], (base + int(offsets[0]), base + int(offsets[-1]))
