"""One copy of a table a node, shared by its ranks through memory-mapped files."""

from __future__ import annotations

import shutil
import socket
import tempfile
from pathlib import Path

import numpy as np
import torch.distributed as dist

from hydrasurr.graphs.table import GraphTable
from hydrasurr.stores.base import Split


def node_name() -> str:
    """Tells nodes apart, also those of one machine name (containers)."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return socket.gethostname() + (boot.read_text().strip() if boot.exists() else "")


def read_once_a_node(split: Split, columns: list[str]) -> GraphTable:
    """The whole split. With a process group, the first rank of each node reads it and the others map its copy.

    The copy lies in /dev/shm (else the temporary folder) only while the ranks map it; the mappings keep the
    memory alive until the last rank ends, so nothing is left behind.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return split.read(0, len(split), columns)
    names: list[str] = [""] * dist.get_world_size()
    dist.all_gather_object(names, node_name())
    leader = names.index(names[dist.get_rank()])
    if names.count(names[leader]) == 1:
        folder, table = None, split.read(0, len(split), columns)
    elif dist.get_rank() == leader:
        table = split.read(0, len(split), columns)
        folder = _save(table)
    else:
        folder, table = None, None
    folders: list[Path | None] = [None] * dist.get_world_size()
    dist.all_gather_object(folders, folder)
    if folders[leader] is not None:
        table = _map(folders[leader])
    dist.barrier()
    if folder is not None:
        shutil.rmtree(folder)
    return table


def _save(table: GraphTable) -> Path:
    shm = Path("/dev/shm")
    roomy = shm.is_dir() and shutil.disk_usage(shm).free > 2 * table.nbytes
    folder = Path(tempfile.mkdtemp(prefix="hydrasurr-", dir=shm if roomy else None))
    np.save(folder / "edge_index.npy", table.edge_index)
    np.save(folder / "directed.npy", np.array(table.directed))
    for kind, arrays in (("offset", table.offsets), ("column", table.columns)):
        for name, array in arrays.items():
            np.save(folder / f"{kind}.{name}.npy", array)
    return folder


def _map(folder: Path) -> GraphTable:
    arrays = {file.name.removesuffix(".npy"): np.load(file, mmap_mode="r") for file in folder.glob("*.npy")}
    parts = {
        kind: {name.removeprefix(kind + "."): array for name, array in arrays.items() if name.startswith(kind + ".")}
        for kind in ("offset", "column")
    }
    return GraphTable(parts["offset"], arrays["edge_index"], parts["column"], bool(arrays["directed"]))
