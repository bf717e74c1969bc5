"""One copy of a table a node, shared by its ranks through memory-mapped files."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch.distributed as dist

from hydrasurr.errors import HydrasurrError, StoreError
from hydrasurr.graphs.table import GraphTable
from hydrasurr.stores.base import Split


def node_name() -> str:
    """Tells nodes apart, also those of one machine name (containers)."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return socket.gethostname() + (boot.read_text().strip() if boot.exists() else "")


def as_it_is(table: GraphTable) -> GraphTable:
    return table


def read_once_a_node(
    split: Split, columns: list[str], prepare: Callable[[GraphTable], GraphTable] = as_it_is
) -> GraphTable:
    """The whole split after `prepare`. With a process group, the first rank of each node does it, the others map its
    copy.

    The copy lies in /dev/shm (else the temporary folder) only while the ranks map it; the mappings keep the
    memory alive until the last rank ends, so nothing is left behind. If any node cannot read the split, all
    ranks raise StoreError.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return prepare(split.read(0, len(split), columns))
    names = _gather(node_name())
    leader = names.index(names[dist.get_rank()])
    copy, table, problem = None, None, None
    if dist.get_rank() == leader:
        try:
            table = prepare(split.read(0, len(split), columns))
            if names.count(names[leader]) > 1:
                copy = _save(table)
        except (HydrasurrError, OSError) as error:
            problem = f"{socket.gethostname()}: {error}"
    try:
        copies, problems = zip(*_gather((copy, problem)), strict=True)
        if any(problems):
            raise StoreError("; ".join(filter(None, problems)))
        if copies[leader] is not None:
            table = _map(copies[leader])
        dist.barrier()
    finally:
        if copy is not None:
            shutil.rmtree(copy)
    return table


def _gather(value: Any) -> list[Any]:
    """`value` of every rank."""
    values = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def _save(table: GraphTable) -> Path:
    shm = Path("/dev/shm")
    roomy = shm.is_dir() and shutil.disk_usage(shm).free > 2 * table.nbytes
    folder = Path(tempfile.mkdtemp(prefix="hydrasurr-table-", dir=shm if roomy else None))
    arrays = {"edge_index": table.edge_index, "directed": np.array(table.directed)}
    arrays |= {f"offset.{level}": offset for level, offset in table.offsets.items()}
    arrays |= {f"column.{name}": column for name, column in table.columns.items()}
    try:
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
    except BaseException:
        shutil.rmtree(folder)
        raise
    return folder


def _map(folder: Path) -> GraphTable:
    arrays = {file.name.removesuffix(".npy"): np.load(file, mmap_mode="r") for file in folder.glob("*.npy")}
    edge_index, directed = arrays.pop("edge_index"), bool(arrays.pop("directed"))
    parts: dict[str, dict[str, np.ndarray]] = {"offset": {}, "column": {}}
    for name, array in arrays.items():
        kind, _, key = name.partition(".")
        parts[kind][key] = array
    return GraphTable(parts["offset"], edge_index, parts["column"], directed)
