"""Ready, shuffled batches a second, against the usual ways to load graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import count, islice

import torch
from torch.utils.data import Dataset, SubsetRandomSampler
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader

from benchmarks.measure import Timing, interleaved
from benchmarks.molecules import Setting, dataset
from benchmarks.peer_stores import PickleFolder, WideBP, drop_from_memory, wide_graphs
from benchmarks.pyg_molecules import pyg_data
from benchmarks.result import Bar, Result
from hydrasurr.graphs import GraphTable
from hydrasurr.loading import BatchLoader
from hydrasurr.stores import open_store

BATCH, BUFFER = 128, 8192
COLUMNS = ("x", "edge_attr", "y")
MEMORY, CACHED, COLD = "in memory", "file, cached", "file, cold"
OURS = {MEMORY: "hydrasurr, memory mode", CACHED: "hydrasurr, blocks mode", COLD: "hydrasurr, blocks mode"}
LIST, PICKLES, CSV = "PyG DataLoader, list of Data", "one pickle a graph", "SMILES, RDKit -> Data"
INLINE = "SMILES, hydrasurr's inline store"
SAMPLES, BLOCKS = "ADIOS, graph by graph", "ADIOS, graph by graph, blocks of 1,024"
Case = tuple[str, str]
"""Where the data are, and how they are loaded."""


def run(setting: Setting) -> Result:
    """Epochs of shuffled batches, each made when it is asked for, in one thread."""
    result = Result(
        "loading",
        f"graphs/s of ready shuffled batches of {BATCH}, one thread, nothing made in advance",
        minimal=setting.minimal,
    )
    for source in setting.sources():
        _compare(result, setting, source)
    result.notes += [
        "all batches have features, target and both directions of all edges; PyG's are made by its DataLoader with "
        "num_workers=0, where a graph is not in a list from a Dataset that reads or converts it",
        "file, cold: before each epoch the system is asked to drop the files from its memory (posix_fadvise); what "
        "a disk or a host keeps by itself is not dropped, and hydrasurr's time includes opening the data set",
        f"hydrasurr's blocks mode shuffles {BUFFER:,} graphs at a time and reads all blocks anew in each epoch",
        f"'{SAMPLES}': variables as in Choi et al. 2022, Table 1, all graphs in one block, as HydraGNN writes those of "
        "a process; ADIOS2 then reads much for the part of edge_index that is one graph's",
        f"'{CSV}' and '{INLINE}': the text is in memory, a graph is made when it is asked for",
    ]
    return result


def _compare(result: Result, setting: Setting, source: str) -> None:
    data = _Data(setting, source)
    data.check()
    timing = interleaved(data.cases(), setting.repeats, before=data.before())
    for (place, name), measured in timing.items():
        row = {"molecules": source, "data": place, "loader": name}
        result.rows.append(row | {"graphs/s": measured.rate, "graphs/CPU-s": measured.cpu_rate})

    def bar(place: str, peer: str, least: float) -> None:
        ratio = timing[place, OURS[place]].over(timing[place, peer])
        result.bars.append(Bar(f"{source}, {place}: hydrasurr / {peer}", ratio, least, 3 * least))

    bar(MEMORY, LIST, 5)
    bar(MEMORY, CSV, 100)
    for place in (CACHED, COLD):
        bar(place, PICKLES, 30)
        bar(place, SAMPLES, 100)
    result.notes.append(_against_easier_peers(source, timing))


def _against_easier_peers(source: str, timing: dict[Case, Timing]) -> str:
    """Ratios to what none of the peers does."""
    ours = timing[CACHED, OURS[CACHED]]
    blocks, inline = ours.over(timing[CACHED, BLOCKS]), timing[MEMORY, OURS[MEMORY]].over(timing[MEMORY, INLINE])
    return f"{source}: hydrasurr / '{BLOCKS}' (cached) {blocks:.3g}x; hydrasurr / '{INLINE}' {inline:.3g}x"


class _Data:
    """The training split of one set of molecules in all its forms."""

    def __init__(self, setting: Setting, source: str):
        size = setting.size(20_000, 300)
        self.path, self.inline = (dataset(setting, source, size, kind) for kind in ("bp", "csv"))
        sizes = {PICKLES: 2560, INLINE: 2560, SAMPLES: 512, CSV: 512}
        self.few = {name: setting.size(size, 32) for name, size in sizes.items()}
        split = open_store(self.path)["train"]
        table = split.read(0, len(split))
        self.smiles, self.table = table.smiles(), table.select(COLUMNS)
        self.list = wide_graphs(self.table)
        self.pickles = PickleFolder.write(self.path.with_name("pickles"), self.list[: self.few[PICKLES]])
        self.wide = {name: self.path.with_name(f"{name}.bp") for name in (SAMPLES, BLOCKS)}
        for path, block in zip(self.wide.values(), (len(self.table), 1024), strict=True):
            if not path.exists():
                WideBP.write(path, self.table, block)
        self._epochs = count()

    def cases(self) -> dict[Case, Callable[[], int]]:
        in_memory = BatchLoader(open_store(self.path)["train"], COLUMNS, BATCH, mode="memory", prefetch_depth=0)
        inline = BatchLoader(open_store(self.inline)["train"], COLUMNS, BATCH, mode="store", prefetch_depth=0)
        texts = _Smiles(self.smiles, self.table)
        return {
            (MEMORY, OURS[MEMORY]): lambda: self._ours(in_memory),
            (MEMORY, LIST): lambda: _graphs_in(DataLoader(self.list, BATCH, shuffle=True)),
            (MEMORY, CSV): lambda: _graphs_in(_some(texts, self.few[CSV])),
            (MEMORY, INLINE): lambda: self._ours(inline, -(-self.few[INLINE] // BATCH)),
            **{
                (place, name): case
                for place in (CACHED, COLD)
                for name, case in (
                    (OURS[CACHED], lambda: self._from_file("blocks")),
                    (OURS[MEMORY], lambda: self._from_file("memory")),
                    (PICKLES, lambda: _graphs_in(DataLoader(self.pickles, BATCH, shuffle=True))),
                    (SAMPLES, lambda: self._graph_by_graph(SAMPLES)),
                    (BLOCKS, lambda: self._graph_by_graph(BLOCKS)),
                )
            },
        }

    def before(self) -> dict[Case, Callable[[], None]]:
        """What makes files cold."""
        pickles = [self.pickles.file(index) for index in range(len(self.pickles))]
        files = {PICKLES: pickles} | {name: list(path.iterdir()) for name, path in self.wide.items()}
        files |= dict.fromkeys(OURS.values(), list(self.path.iterdir()))
        return {(COLD, name): partial(drop_from_memory, each) for name, each in files.items()}

    def _ours(self, loader: BatchLoader, batches: int | None = None) -> int:
        """A whole epoch, or its first batches."""
        return _graphs_in(islice(loader.epoch(next(self._epochs)), batches))

    def _from_file(self, mode: str) -> int:
        split = open_store(self.path)["train"]
        return self._ours(BatchLoader(split, COLUMNS, BATCH, mode=mode, buffer_graphs=BUFFER, prefetch_depth=0))

    def _graph_by_graph(self, name: str) -> int:
        return _graphs_in(_some(WideBP(self.wide[name]), self.few[SAMPLES]))

    def check(self) -> None:
        """Raise AssertionError unless all peers have the same graphs."""
        others = [self.pickles, *map(WideBP, self.wide.values()), _Smiles(self.smiles, self.table)]
        for index in range(0, len(self.pickles), 10):
            graph = _in_order(self.list[index])
            for other in others:
                same = all(map(torch.equal, graph, _in_order(other[index])))
                assert same, f"graph {index} differs in {type(other).__name__}"


class _Smiles(Dataset):
    """Graphs made of text when they are asked for, as PyG users write it."""

    def __init__(self, smiles: Sequence[str], table: GraphTable):
        self._smiles, self._y = smiles, torch.from_numpy(table.y).float()

    def __len__(self) -> int:
        return len(self._smiles)

    def __getitem__(self, index: int) -> Data:
        graph = pyg_data(self._smiles[index])
        graph.y = self._y[index : index + 1]
        return graph


def _in_order(graph: Data) -> tuple[torch.Tensor, ...]:
    """What is in a graph, whatever the order of its edges and the type of its features."""
    order = (graph.edge_index[1] * graph.num_nodes + graph.edge_index[0]).argsort()
    return graph.x.float(), graph.edge_index[:, order], graph.edge_attr[order].float(), graph.y


def _some(graphs: Dataset, count: int) -> DataLoader:
    """Batches of `count` graphs drawn at random."""
    return DataLoader(graphs, BATCH, sampler=SubsetRandomSampler(torch.randperm(len(graphs))[:count].tolist()))


def _graphs_in(batches: Iterable) -> int:
    return sum(batch.num_graphs for batch in batches)
