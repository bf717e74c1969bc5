"""A whole run from its configuration: ranks, data, members, results."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from hydrasurr.errors import HydrasurrError
from hydrasurr.files import write_text
from hydrasurr.launcher import Ranks, discover
from hydrasurr.loading import BatchLoader
from hydrasurr.models.package import load_package, save_package
from hydrasurr.stores import SPLITS, GraphStore, open_store, store_kind
from hydrasurr.training.config import RunConfig
from hydrasurr.training.evaluation import evaluate
from hydrasurr.training.folder import RunFolder
from hydrasurr.training.metrics import Metrics
from hydrasurr.training.predictions import Collector
from hydrasurr.training.ranks import choose_device, process_group, share_of
from hydrasurr.training.start import starting_networks
from hydrasurr.training.stop import StopRequest
from hydrasurr.training.tasks import Task, choose_task
from hydrasurr.training.tensorboard import Board
from hydrasurr.training.trainer import EpochRecord, Trainer
from hydrasurr.training.watch import Watcher


def run(
    config: RunConfig,
    folder: RunFolder,
    *,
    resume: bool = False,
    force: bool = False,
    time_limit: float | None = None,
) -> dict[str, Metrics]:
    """Train the members of a run, evaluate the result, write the report.

    All ranks of a job call this alike. Returns split -> target -> metrics on rank 0 and nothing on the others,
    nor if stopped early by a signal or the time limit (in seconds); the run then goes on with `resume=True`.
    """
    ranks = discover()
    store = open_store(config.data.dataset)
    device = choose_device(config.training.device, ranks)
    task = choose_task(config, store.info)
    job = Job(config, folder, store, task, ranks, device, starting_networks(config, task, store.info))
    with process_group(ranks, device), StopRequest(time_limit).on_signals() as stop:
        job.prepare(resume=resume, force=force)
        torch.set_num_threads(config.training.threads)
        watcher = Watcher(ranks.is_root)
        for member in range(config.members):
            if not job.train_member(member, stop, watcher):
                watcher.say(f"stopped by {stop.reason}; go on with --resume")
                return {}
        results = job.finish()
        if not ranks.is_root:
            return {}
        from hydrasurr.training.report import write_report  # late: only rank 0 needs matplotlib

        write_report(folder)
        return results


@dataclass(frozen=True)
class Job:
    """A run as one process of it sees it.

    Attributes
    ----------
    starts : of an earlier model, by member; None: members start from random weights
    """

    config: RunConfig
    folder: RunFolder
    store: GraphStore
    task: Task
    ranks: Ranks
    device: torch.device
    starts: list[nn.Module] | None = None

    def prepare(self, *, resume: bool, force: bool) -> None:
        """Rank 0 prepares the folder; if it cannot, all ranks raise the same error."""
        errors: list[HydrasurrError | None] = [None]
        if self.ranks.is_root:
            try:
                self.folder.prepare(self.config, self.store.info, resume=resume, force=force)
            except HydrasurrError as error:
                errors = [error]
        if self.ranks.world_size > 1:
            dist.broadcast_object_list(errors)
        if errors[0] is not None:
            raise errors[0]

    def train_member(self, member: int, stop: StopRequest, watcher: Watcher) -> bool:
        """Train one network of the ensemble, from its latest checkpoint if there is one. False if stopped early."""
        config, files = self.config, self.folder.member(member, self.config.members)
        seed = config.training.seed + member
        network = self.network(seed, self.starts[member] if self.starts else None)
        parameters = sum(parameter.numel() for parameter in network.parameters())
        watcher.start(config, member, parameters, self.device, self.ranks)

        def report(record: EpochRecord) -> None:
            files.append_record(record)
            board.add(record)
            watcher.epoch(record, self.task)

        trainer = Trainer(
            network,
            self.task,
            self.store,
            self.loader(seed),
            config.training,
            self.ranks,
            self.device,
            files.latest,
            seed=seed,
            save_best=lambda best: save_package(files.best, [best], self._notes()),
            report=report,
            watch=watcher.batches,
            stop=stop,
        )
        if files.latest.exists():
            trainer.resume()
        board = None
        if self.ranks.is_root:
            files.keep_records_before(trainer.progress.epoch)
            board = Board(files.tensorboard, trainer.progress.epoch)
        with watcher, board or nullcontext():
            return trainer.fit().finished

    def finish(self) -> dict[str, Metrics]:
        """Put the best networks together in one file, and evaluate what it holds on all splits."""
        folder, config, ranks = self.folder, self.config, self.ranks
        if ranks.is_root:
            bests = [folder.member(member, config.members).best for member in range(config.members)]
            save_package(folder.surrogate, [load_package(best).networks[0] for best in bests], self._notes())
        if ranks.world_size > 1:
            dist.barrier()
        combined = self.task.combine(load_package(folder.surrogate).networks).to(self.device)
        results = {}
        for name in SPLITS:
            split = self.store[name]
            if not len(split):
                continue
            sizes = {"graph": len(split), "node": self.store.info.nodes[name]}
            collector = Collector(self.task, sizes)
            sums = evaluate(combined, self.task, split, share_of(ranks), config.training.batch_size, collector)
            results[name] = sums.metrics()
            collector.save(folder.predictions(name), ranks)
        if ranks.is_root:
            write_text(folder.results, json.dumps(results, indent=2) + "\n")  # which may hold NaN
        return results

    def network(self, seed: int, start: nn.Module | None = None) -> nn.Module:
        """The network before training: `start`, or an untrained one, whose weights follow from the seed."""
        torch.manual_seed(seed)
        network = self.task.build(self.config.model, self.store.info) if start is None else start.train()
        network = (network.double() if self.config.training.precision == "fp64" else network).to(self.device)
        if self.config.training.compile:
            network.compile_forces()
        return network

    def loader(self, seed: int) -> BatchLoader:
        """This rank's training batches."""
        data = self.config.data
        return BatchLoader(
            self.store["train"],
            self.task.columns,
            self.config.training.batch_size,
            share_of(self.ranks),
            seed=seed,
            mode=self._loading_mode(),
            buffer_graphs=data.buffer_graphs,
            prefetch_depth=data.prefetch,
            pin_memory=self.device.type == "cuda",
            prepare=self.task.prepare,
            collate=self.task.collate,
        )

    def _loading_mode(self) -> str:
        """What data.mode "auto" means for this store."""
        data = self.config.data
        if data.mode != "auto":
            return data.mode
        if store_kind(data.dataset) != "bp":
            return "store"
        fits = self.store["train"].nbytes(self.task.columns) <= data.memory_budget_gb * 1e9
        return "memory" if fits else "blocks"

    def _notes(self) -> dict[str, Any]:
        """Where a model comes from, kept in its file."""
        info = self.store.info
        return {
            "run": self.config.name,
            "dataset": info.name,
            "training_graphs": info.graphs["train"],
            "statistics": {t.name: s.model_dump() for t, s in zip(info.targets, info.statistics, strict=True)},
            "source": info.source,
            "r_min": info.structures.r_min if info.structures else {},
        }
