"""Bytes a graph on disk, against pickled PyG objects and against the wide arrays of an ADIOS2 file."""

from __future__ import annotations

import pickle
import shutil

from benchmarks.molecules import Setting, dataset
from benchmarks.peer_stores import WideBP, size_of, wide_graphs
from benchmarks.result import Bar, Result
from hydrasurr.graphs.table import GraphTable
from hydrasurr.stores import SPLITS, create_writer, open_store

CONTENT = ["x", "edge_attr", "y"]


def run(setting: Setting) -> Result:
    """The same graphs in three stores; the bytes are those of the files, not of the blocks of a file system."""
    result = Result(
        "storage",
        "bytes a graph on disk, without general-purpose compression: hydrasurr's BP against one pickled PyG Data a "
        "graph, and against BP with the arrays of Choi et al. 2022, Table 1",
        minimal=setting.minimal,
    )
    for source in setting.sources():
        _compare(result, setting, source)
    result.notes += [
        "the ratios are of files with the same content: features of nodes and edges, edges, one target",
        "a whole data set also has the SMILES and the row in the source table of each graph, counts and checksums",
        "the peers hold features and target as float32, and int64 ends of the edges in both directions; hydrasurr's "
        "target is a float64",
    ]
    return result


def _compare(result: Result, setting: Setting, source: str) -> None:
    path = dataset(setting, source, setting.size(20_000, 200))
    store = open_store(path)
    tables = {split: store[split].read(0, len(store[split])) for split in SPLITS}
    count = sum(map(len, tables.values()))
    ours, wide = path.with_name("graphs-only.bp"), path.with_name("wide-storage.bp")
    try:
        writer = create_writer("bp", ours, store.info.feature_schema)
        for split, table in tables.items():
            for start, stop in zip(store[split].block_offset, store[split].block_offset[1:], strict=False):
                writer.append(split, table[start:stop].select(CONTENT))
        writer.finish(store.info)
        WideBP.write(wide, tables["train"], len(tables["train"]))
        sizes = {
            "hydrasurr, whole data set": size_of(path) / count,
            "hydrasurr, the graphs alone": size_of(ours) / count,
            "one pickled PyG Data a graph": _pickled(tables["train"]),
            "float32 and int64 BP": size_of(wide) / len(tables["train"]),
        }
    finally:
        for folder in (ours, wide):
            shutil.rmtree(folder, ignore_errors=True)
    nodes, edges = (sum(each.values()) / count for each in (store.info.nodes, store.info.edges))
    for name, size in sizes.items():
        result.rows.append({"molecules": source, "store": name, "bytes a graph": size})
    result.notes.append(f"{source}: {count:,} graphs of {nodes:.1f} nodes and {edges:.1f} bonds on average")
    _, graphs, pickled, wide_bp = sizes.values()
    result.bars += [
        Bar(f"{source}: pickled PyG Data / hydrasurr", pickled / graphs, 8, 15),
        Bar(f"{source}: float32 and int64 BP / hydrasurr", wide_bp / graphs, 5, 8),
    ]


def _pickled(table: GraphTable) -> float:
    """Mean size of a pickle."""
    return sum(len(pickle.dumps(graph, pickle.HIGHEST_PROTOCOL)) for graph in wide_graphs(table)) / len(table)
