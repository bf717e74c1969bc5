"""Batches for training and evaluation, from any store, on any number of ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from hydrasurr.graphs.table import GraphTable, concatenate
from hydrasurr.loading.batch import GraphBatch
from hydrasurr.loading.plan import Share, Window, block_windows, exact_batches, steps_per_epoch
from hydrasurr.loading.prefetch import prefetch
from hydrasurr.loading.shared import as_it_is, read_once_a_node
from hydrasurr.loading.tensors import Tensors
from hydrasurr.stores.base import Split

MODES = ("memory", "blocks", "store")

Batch = TypeVar("Batch", bound=Tensors)
Prepare = Callable[[GraphTable], GraphTable]


class BatchLoader:
    """Shuffled training batches of a split.

    Parameters
    ----------
    split : of any store
    columns : the columns to load
    batch_size : graphs a batch on this rank
    share : this rank's place
    seed : with the epoch it fixes the order of all graphs
    mode : "memory": the split is read once (one copy a node), exact global shuffle;
        "blocks": blocks are read as needed and shuffled within a buffer, for splits larger than memory;
        "store": exact global shuffle, each batch gathered from the store as it is (pickle, CSV)
    buffer_graphs : in "blocks" mode, graphs shuffled together
    prefetch_depth : batches prepared in advance by a thread
    pin_memory : put batches into page-locked memory, from which they are copied to a GPU while it computes
    prepare : completes graphs as they were read, each by itself; in "memory" mode once, not every epoch
    collate : makes a batch of a few graphs, on the CPU. Structures take both from `RadiusGraphs`.
    """

    def __init__(
        self,
        split: Split,
        columns: Sequence[str],
        batch_size: int,
        share: Share | None = None,
        *,
        seed: int = 0,
        mode: str = "memory",
        buffer_graphs: int = 65_536,
        prefetch_depth: int = 2,
        pin_memory: bool = False,
        prepare: Prepare = as_it_is,
        collate: Callable[[GraphTable], Tensors] = GraphBatch.from_table,
    ):
        if mode not in MODES:
            raise ValueError(f"mode '{mode}' is not one of {MODES}")
        self.split, self.columns, self.batch_size = split, list(columns), batch_size
        self.share, self.seed, self.mode = share or Share(), seed, mode
        self.buffer_graphs, self.prefetch_depth, self.pin_memory = buffer_graphs, prefetch_depth, pin_memory
        self.prepare, self.collate = prepare, collate
        self._table = read_once_a_node(split, self.columns, self.prepare) if mode == "memory" else None

    def __len__(self) -> int:
        """Batches an epoch, the same on every rank."""
        return steps_per_epoch(len(self.split), self.batch_size, self.share)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Tensors]:
        """The batches of an epoch from `first_step` on; the same batches whether or not the epoch was
        interrupted before."""
        batches = (self.collate(table) for table in self.tables(epoch, first_step))
        if self.pin_memory:
            batches = (batch.pin_memory() for batch in batches)
        return prefetch(batches, self.prefetch_depth)

    def tables(self, epoch: int, first_step: int = 0) -> Iterator[GraphTable]:
        """The same batches as GraphTables."""
        if self.mode == "blocks":
            return self._from_blocks(epoch, first_step)
        batches = exact_batches(len(self.split), self.batch_size, self.share, self.seed, epoch, first_step)
        if self._table is not None:
            return (self._table.gather(indices) for indices in batches)
        return (self.prepare(self.split.gather(indices, self.columns)) for indices in batches)

    def _from_blocks(self, epoch: int, first_step: int) -> Iterator[GraphTable]:
        position = first_step * self.batch_size
        pending: list[GraphTable] = []
        for window in block_windows(self.split.block_offset, self.share, self.seed, epoch, self.buffer_graphs):
            if window.stop <= position:
                continue
            table, order = self._read(window), window.shuffle()
            while position < window.stop:
                missing = self.batch_size - sum(map(len, pending))
                stop = min(position + missing, window.stop)
                pending.append(table.gather(order[position - window.start : stop - window.start]))
                position = stop
                if sum(map(len, pending)) == self.batch_size:
                    yield concatenate(pending)
                    pending = []
        if pending:
            yield concatenate(pending)

    def _read(self, window: Window) -> GraphTable:
        tables = [self.split.read(start, stop, self.columns) for start, stop in window.ranges]
        return self.prepare(concatenate(tables))


def evaluation_batches(
    split: Split,
    columns: Sequence[str],
    batch_size: int,
    share: Share | None = None,
    *,
    prefetch_depth: int = 2,
    prepare: Prepare = as_it_is,
    collate: Callable[[GraphTable], Batch] = GraphBatch.from_table,
) -> Iterator[Batch]:
    """This rank's batches of a split in stored order: over all ranks each graph once.

    The split is cut into the same batches whatever the world size, so each graph gets the same prediction.
    """
    first, last = (share or Share()).contiguous(-(-len(split) // batch_size))

    def batches() -> Iterator[Batch]:
        for start in range(first * batch_size, last * batch_size, batch_size):
            stop = min(start + batch_size, len(split))
            yield collate(prepare(split.read(start, stop, columns)))

    return prefetch(batches(), prefetch_depth)
