"""Steps of a run's training loop, timed on a number of ranks."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.distributed as dist

from hydrasurr.errors import HydrasurrError
from hydrasurr.launcher import Ranks
from hydrasurr.loading import BatchLoader, GraphBatch
from hydrasurr.scaling.record import Point, RankTimes
from hydrasurr.training.run import Job
from hydrasurr.training.trainer import Trainer


@dataclass(frozen=True)
class Effort:
    """How long to measure a point."""

    warmup: int = 5
    """Updates before the first timed one."""
    updates: int = 20
    """Timed updates in a block."""
    repeats: int = 5
    """Blocks."""


def measure_point(job: Job, kind: str, ranks: Ranks, batch_size: int, effort: Effort) -> Point | None:
    """Time steps with `batch_size` graphs a batch and rank; called by all of `ranks` together. The Point on rank 0.

    First all ranks compute at the same time without talking to each other, then they train together.
    """
    training = job.config.training.model_copy(update={"batch_size": batch_size})
    job = replace(job, config=job.config.model_copy(update={"training": training}), ranks=ranks)
    loader = job.loader(training.seed)
    alone = _times(job, loader, Ranks(), effort)
    together = _times(job, loader, ranks, effort) if ranks.world_size > 1 else alone
    both = [(alone, together)]
    if ranks.world_size > 1:
        both = [None] * ranks.world_size
        dist.all_gather_object(both, (alone, together))
    if not ranks.is_root:
        return None
    return Point(kind, ranks.world_size, batch_size * training.accumulate, *map(list, zip(*both, strict=True)))


def check_graphs(job: Job, ranks: int, batch_size: int) -> None:
    """Raise HydrasurrError if the training split has too few graphs for one step of `ranks` ranks."""
    graphs, accumulate = len(job.store["train"]), job.config.training.accumulate
    if _updates_per_epoch(graphs, ranks, batch_size, accumulate) < 1:
        needed = ranks * batch_size * accumulate
        raise HydrasurrError(
            f"a step of {ranks} ranks with {batch_size * accumulate:,} graphs each takes {needed:,} graphs, but the "
            f"training split of '{job.config.data.dataset}' has {graphs:,}; choose fewer --ranks, or a smaller batch: "
            f"--set training.batch_size={graphs // (ranks * accumulate)}"
        )


def _updates_per_epoch(graphs: int, ranks: int, batch_size: int, accumulate: int) -> int:
    """Steps with full batches; only these are timed, since smaller ones are less work."""
    return graphs // ranks // batch_size // accumulate


def _times(job: Job, loader: BatchLoader, ranks: Ranks, effort: Effort) -> RankTimes:
    """This rank's times; with `ranks` a single process it trains without its peers."""
    steps = _Steps(job, loader, ranks)
    with closing(steps):
        for _ in range(effort.warmup):
            steps.update()
        seconds, nodes, phases = [], [], []
        for _ in range(effort.repeats):
            if dist.is_initialized():
                dist.barrier()
            steps.trainer.timer.take()
            clock = _Clock(job.device)
            counts = []
            for _ in range(effort.updates):
                counts.append(steps.update())
                clock.mark()
            seconds.append(clock.seconds())
            nodes.append(counts)
            phases.append(steps.trainer.timer.take())
    mean = {name: [block[name] / effort.updates for block in phases] for name in phases[0]}
    return RankTimes(seconds, nodes, mean)


class _Steps:
    """A run's training loop, one update of the optimizer at a time, epoch after epoch."""

    def __init__(self, job: Job, loader: BatchLoader, ranks: Ranks):
        training = job.config.training
        self.trainer = Trainer(
            job.network(training.seed),
            job.task,
            job.store,
            loader,
            training,
            ranks,
            job.device,
            latest=Path(os.devnull),
            seed=training.seed,
            save_best=lambda network: None,
            report=lambda record: None,
        )
        self.trainer.start()
        if ranks.world_size == 1:
            self.trainer.loss.exact_counts = False  # it would ask the peers
        per_epoch = _updates_per_epoch(
            len(loader.split), loader.share.world_size, training.batch_size, training.accumulate
        )
        self._batches_per_epoch = per_epoch * training.accumulate
        self._epochs = itertools.count()
        self._loader, self._nodes = loader, 0
        self._batches = self._epoch(next(self._epochs))

    def update(self) -> int:
        """Load, forward, backward, and the optimizer's step. Returns the nodes of the graphs."""
        self._nodes = 0
        if self.trainer.progress.step == self._batches_per_epoch:
            self._batches.close()
            self._batches = self._epoch(next(self._epochs))
            self.trainer.progress.step = 0
        while not self.trainer.step(self._batches):
            pass
        return self._nodes

    def close(self) -> None:
        self._batches.close()

    def _epoch(self, epoch: int) -> Iterator[GraphBatch]:
        with closing(self._loader.epoch(epoch)) as batches:
            for batch in batches:
                self._nodes += batch.num_nodes
                yield batch


class _Clock:
    """Times between marks; on CUDA measured on the stream, so that the host need not wait at each mark."""

    def __init__(self, device: torch.device):
        self._cuda = device.type == "cuda"
        if self._cuda:
            torch.cuda.synchronize(device)
        self._marks = [self._now()]

    def mark(self) -> None:
        self._marks.append(self._now())

    def seconds(self) -> list[float]:
        """Of each interval."""
        pairs = itertools.pairwise(self._marks)
        if not self._cuda:
            return [stop - start for start, stop in pairs]
        torch.cuda.synchronize()
        return [start.elapsed_time(stop) / 1000 for start, stop in pairs]

    def _now(self) -> float | torch.cuda.Event:
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event
