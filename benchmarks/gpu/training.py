"""Steps on ready batches (`pna`) and whole epochs with their data (`train`), against PyG eager and compiled."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch
from torch_geometric.loader import DataLoader

from benchmarks.gpu.busy import busy_seconds, waits
from benchmarks.gpu.job import Job
from benchmarks.measure import interleaved
from benchmarks.networks import Training, batches_of, pna_network, pyg_graphs
from benchmarks.pyg_network import PyGNetwork
from hydrasurr.graphs import GraphTable
from hydrasurr.loading import BatchLoader, GraphBatch
from hydrasurr.models.network import GraphNetwork

COLUMNS = ("x", "edge_attr", "y")
BATCHES = (128, 1024)
STEPS, EPOCH, REPEATS = 20, 60, 3
"""Ready batches, batches of an epoch, and rounds."""


@dataclass
class Competitor:
    """A network in training, and how its batches are made.

    Attributes
    ----------
    collate : a table to one batch on the host
    epoch : a table and a batch size to the batches of an epoch on the host; each iteration is another epoch
    move : a batch to the device
    """

    name: str
    training: Training
    collate: Callable[[GraphTable], Any]
    epoch: Callable[[GraphTable, int], Iterable[Any]]
    move: Callable[[Any], Any]

    def train(self, batches: Iterable[Any]) -> None:
        for batch in batches:
            self.training.step(batch)


def run(job: Job, width: int) -> None:
    """The networks as they are come first, in turns: should compiling fail or take too long, they are done."""
    network = pna_network(job.table, width, job.size(6, 1)).to(job.device)
    # On a CPU only tracing is of interest, not the code made from it.
    compiler = partial(torch.compile, dynamic=True, backend="inductor" if job.on_gpu else "eager")
    for makers, suffix, wrap in (
        ((_ours, _peer), "", _as_it_is),
        ((_peer,), ", compiled", compiler),
        ((_ours,), ", compiled", compiler),
    ):
        competitors = [make(job, network, suffix, wrap) for make in makers]
        competitors = [competitor for competitor in competitors if _works(job, competitor)]
        for batch_size in BATCHES[: job.size(2, 1)]:
            _measure(job, width, competitors, batch_size)


def _as_it_is(function: Callable) -> Callable:
    return function


# -- competitors --------------------------------------------------------------------------------------


def _ours(job: Job, network: GraphNetwork, suffix: str, wrap: Callable[[Callable], Callable]) -> Competitor:
    network = copy.deepcopy(network)
    forward = wrap(network)

    def epoch(table: GraphTable, batch_size: int) -> Iterable[GraphBatch]:
        return Epochs(BatchLoader(TableSplit(table), COLUMNS, batch_size, pin_memory=job.on_gpu))

    return Competitor(
        f"hydrasurr{suffix}",
        Training(network, lambda batch: forward(batch).graph, network, fused=True),
        GraphBatch.from_table,
        epoch,
        lambda batch: batch.to(job.device, non_blocking=True),
    )


def _peer(job: Job, network: GraphNetwork, suffix: str, wrap: Callable[[Callable], Callable]) -> Competitor:
    peer = PyGNetwork(network).to(job.device)

    def epoch(table: GraphTable, batch_size: int) -> DataLoader:
        return DataLoader(
            pyg_graphs(table),
            batch_size,
            shuffle=True,
            num_workers=job.size(4, 1),
            persistent_workers=True,
            pin_memory=job.on_gpu,
        )

    return Competitor(
        f"PyG{suffix}",
        Training(peer, wrap(peer), network, fused=False),
        lambda table: Batch.from_data_list(pyg_graphs(table)),
        epoch,
        lambda batch: Arrays.of(batch.to(job.device, non_blocking=True)),
    )


class Arrays(NamedTuple):
    """What PyGNetwork needs of a `Batch`; torch.compile takes it without looking into PyG's containers."""

    x: Tensor
    edge_index: Tensor
    edge_attr: Tensor
    batch: Tensor
    num_graphs: int
    y: Tensor

    @classmethod
    def of(cls, batch: Batch) -> Arrays:
        return cls(batch.x, batch.edge_index, batch.edge_attr, batch.batch, batch.num_graphs, batch.y)


class TableSplit:
    """A table as a split of a data set."""

    def __init__(self, table: GraphTable):
        self._table, self.block_offset = table, np.array([0, len(table)])

    def __len__(self) -> int:
        return len(self._table)

    def read(self, start: int, stop: int, columns: Sequence[str] | None = None) -> GraphTable:
        return self._table[start:stop].select(columns or self._table.columns)

    def gather(self, indices: np.ndarray, columns: Sequence[str] | None = None) -> GraphTable:
        return self._table.gather(indices).select(columns or self._table.columns)


class Epochs:
    """A loader as an iterable, each iteration the next epoch."""

    def __init__(self, loader: BatchLoader):
        self._loader, self._epoch = loader, 0

    def __iter__(self) -> Iterator[GraphBatch]:
        self._epoch += 1
        return self._loader.epoch(self._epoch - 1)


# -- measurements -------------------------------------------------------------------------------------


def _works(job: Job, competitor: Competitor) -> bool:
    """Train on a few batches of all sizes, for compiling and for warming up; False, and said why, if that fails."""
    start = time.perf_counter()
    try:
        for batch_size in BATCHES[: job.size(2, 1)]:
            tables = batches_of(job.table, job.size(batch_size, batch_size // 32), 3, seed=1)
            competitor.train(competitor.move(competitor.collate(table)) for table in tables)
        job.synchronize()
    except Exception as error:
        job.note(f"{competitor.name} does not work: {repr(error).splitlines()[0][:300]}")
        return False
    if "compiled" in competitor.name:
        job.note(f"{competitor.name}: compiled within the first {time.perf_counter() - start:.0f} s")
    return True


def _measure(job: Job, width: int, competitors: Sequence[Competitor], batch_size: int) -> None:
    in_batch = job.size(batch_size, batch_size // 32)
    tables = batches_of(job.table.select(COLUMNS), in_batch, job.size(STEPS, 2))
    ready = {c.name: [c.move(c.collate(table)) for table in tables] for c in competitors}
    whole = job.table.select(COLUMNS)[: in_batch * job.size(EPOCH, 2)]
    loaders = {c.name: c.epoch(whole, in_batch) for c in competitors}
    kernels, memory = {}, {}
    for c in competitors:
        seconds, memory[c.name] = _device_use(job, partial(c.train, ready[c.name]))
        kernels[c.name] = seconds / (in_batch * len(tables))
        places = waits(job, partial(c.train, ready[c.name]))
        told = ", ".join(f"{place} ({count / len(tables):g})" for place, count in places.most_common(5)) or "nowhere"
        job.note(f"{c.name}, width {width}, batch {in_batch}: the host waits in a step at {told}")

    def steps(competitor: Competitor) -> int:
        competitor.train(ready[competitor.name])
        job.synchronize()
        return in_batch * len(tables)

    def epoch(competitor: Competitor) -> int:
        competitor.train(map(competitor.move, loaders[competitor.name]))
        job.synchronize()
        return len(whole)

    for measured in (steps, epoch):
        timing = interleaved({c.name: partial(measured, c) for c in competitors}, job.size(REPEATS, 1))
        for name, times in timing.items():
            job.row(
                measured=measured.__name__,
                width=width,
                batch=in_batch,
                network=name,
                **{
                    "graphs/s": times.rate,
                    "ms a step": 1000 * in_batch / times.rate,
                    "GPU busy": kernels[name] * times.rate,
                    "peak MiB": memory[name],
                },
            )


def _device_use(job: Job, work: Callable[[], object]) -> tuple[float, float]:
    """Seconds in kernels, and peak memory in MiB above what was in use before (0 on a CPU)."""
    before = torch.cuda.memory_allocated() if job.on_gpu else 0
    if job.on_gpu:
        torch.cuda.reset_peak_memory_stats()
    seconds = busy_seconds(job, work)
    peak = torch.cuda.max_memory_allocated() if job.on_gpu else 0
    return seconds, (peak - before) / 2**20
