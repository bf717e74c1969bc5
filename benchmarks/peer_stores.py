"""Graphs stored as others store them: PyG objects, one pickle a graph, and the wide arrays of an ADIOS2 BP file.

All hold the same: node and edge features as float32, int64 ends of the edges in both directions, and the target.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset
from torch_geometric.data import Data

from hydrasurr.graphs import GraphTable
from hydrasurr.graphs.table import offsets_from_counts

FILES_IN_A_FOLDER = 10_000


def wide_graphs(table: GraphTable) -> list[Data]:
    """One `Data` a graph, as PyG users and HydraGNN have it."""
    graphs = []
    for graph in table:
        x, edge_index, edge_attr, y = (torch.from_numpy(array) for array in wide_arrays(graph).values())
        graphs.append(Data(x=x, edge_index=edge_index, edge_attr=edge_attr, y=y))
    return graphs


def wide_arrays(table: GraphTable) -> dict[str, np.ndarray]:
    """`x` `[nodes, 9]`, `edge_index` `[2, edges]` counted in each graph, `edge_attr` `[edges, 4]`, `y` `[G, 1]`."""
    graph = np.repeat(np.arange(len(table)), table.counts("edge"))
    both = np.argsort(np.concatenate([graph, graph]), kind="stable")  # each graph's edges one way, then the other
    edge_index = np.concatenate([table.edge_index, table.edge_index[::-1]], axis=1, dtype=np.int64)
    return {
        "x": table.x.astype(np.float32),
        "edge_index": np.take(edge_index, both, axis=1),
        "edge_attr": np.concatenate([table.edge_attr, table.edge_attr], dtype=np.float32)[both],
        "y": table.y.astype(np.float32),
    }


class PickleFolder(Dataset):
    """One pickled `Data` a file; a graph is read when it is asked for."""

    def __init__(self, folder: Path, size: int):
        self.folder, self.size = folder, size

    @classmethod
    def write(cls, folder: Path, graphs: Sequence[Data]) -> PickleFolder:
        dataset = cls(folder, len(graphs))
        for index, graph in enumerate(graphs):
            file = dataset.file(index)
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(pickle.dumps(graph, protocol=pickle.HIGHEST_PROTOCOL))
        return dataset

    def file(self, index: int) -> Path:
        return self.folder / str(index // FILES_IN_A_FOLDER) / f"{index}.pkl"

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Data:
        with self.file(index).open("rb") as file:
            return pickle.load(file)


class WideBP(Dataset):
    """The arrays of `wide_arrays` as global arrays of a BP file; a graph is read when it is asked for.

    They are named and shaped as in Choi et al., "Scalable training of graph convolutional neural networks for fast and
    accurate predictions of HOMO-LUMO gap in molecules", J. Cheminform. 14, 70 (2022), Table 1; beside them lie the
    numbers of nodes and of edges of each graph (int64), without which no graph could be found. HydraGNN writes what a
    process has as one block; with smaller blocks ADIOS2 has less to read for a part of `edge_index`, which lies in two
    places of a block.
    """

    def __init__(self, path: Path):
        import adios2

        self._file = adios2.FileReader(str(path))
        self.node_offset, self.edge_offset = (
            offsets_from_counts(self._file.read(name)) for name in ("node_count", "edge_count")
        )
        self._x, self._edge_attr, self._y = (
            int(self._file.available_variables()[name]["Shape"].split(",")[1]) for name in ("x", "edge_attr", "y")
        )

    @staticmethod
    def write(path: Path, table: GraphTable, block: int) -> None:
        """Write all graphs, `block` of them at a time."""
        import adios2

        with adios2.Stream(str(path), "w") as stream:
            stream.begin_step()
            for start in range(0, len(table), block):
                part = table[start : start + block]
                arrays = wide_arrays(part)
                arrays |= {"node_count": part.counts("node"), "edge_count": 2 * part.counts("edge")}
                for name, array in arrays.items():
                    shape = list(array.shape)
                    shape[name == "edge_index"] = adios2.JoinedDim
                    variable = stream.io.inquire_variable(name)
                    if variable is None:
                        variable = stream.io.define_variable(name, array, shape, [], list(array.shape))
                    variable.set_selection([[], list(array.shape)])
                    stream.engine.put(variable, array, adios2.bindings.Mode.Sync)
            stream.end_step()

    def __len__(self) -> int:
        return len(self.node_offset) - 1

    def __getitem__(self, index: int) -> Data:
        node, edge = int(self.node_offset[index]), int(self.edge_offset[index])
        nodes, edges = int(self.node_offset[index + 1]) - node, int(self.edge_offset[index + 1]) - edge
        x = self._file.read("x", [node, 0], [nodes, self._x])
        edge_index = self._file.read("edge_index", [0, edge], [2, edges])
        edge_attr = self._file.read("edge_attr", [edge, 0], [edges, self._edge_attr])
        y = self._file.read("y", [index, 0], [1, self._y])
        x, edge_index, edge_attr, y = map(torch.from_numpy, (x, edge_index, edge_attr, y))
        return Data(x=x, edge_index=edge_index, edge_attr=edge_attr, y=y)


def size_of(path: Path) -> int:
    """Bytes in a file, or in all files of a folder; not what the file system rounds them up to."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def drop_from_memory(files: Iterable[Path]) -> None:
    """Ask the system to forget the contents of files it keeps in memory, so that they are next read from the disk."""
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # what is not yet written cannot be dropped
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
