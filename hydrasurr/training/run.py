"""A whole run from its configuration: ranks, data, members, results."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import torch
import torch.distributed as dist

from hydrasurr.errors import HydrasurrError
from hydrasurr.launcher import Ranks, discover
from hydrasurr.loading import BatchLoader
from hydrasurr.models.ensemble import Ensemble
from hydrasurr.models.network import GraphNetwork
from hydrasurr.models.package import load_package, save_package
from hydrasurr.stores import SPLITS, GraphStore, open_store, store_kind
from hydrasurr.training.config import DataConfig, RunConfig
from hydrasurr.training.evaluation import evaluate
from hydrasurr.training.folder import RunFolder
from hydrasurr.training.metrics import Metrics
from hydrasurr.training.predictions import Collector
from hydrasurr.training.ranks import choose_device, process_group, share_of
from hydrasurr.training.stop import StopRequest
from hydrasurr.training.task import Task
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
    device = choose_device(config.training.device, ranks)
    with process_group(ranks, device), StopRequest(time_limit).on_signals() as stop:
        _prepare_together(ranks, folder, config, resume=resume, force=force)
        torch.set_num_threads(config.training.threads)
        store = open_store(config.data.dataset)
        task = Task.choose(store.info, config.data)
        if ranks.is_root:
            folder.dataset.write_text(store.info.model_dump_json(indent=2) + "\n")
        watcher = Watcher(ranks.is_root)
        for member in range(config.members):
            if not _train_member(config, member, folder, store, task, ranks, device, stop, watcher):
                watcher.say(f"stopped by {stop.reason}; go on with --resume")
                return {}
        results = _finish(config, folder, store, task, ranks, device)
        if not ranks.is_root:
            return {}
        from hydrasurr.training.report import write_report  # late: only rank 0 needs matplotlib

        write_report(folder)
        return results


def _prepare_together(ranks: Ranks, folder: RunFolder, config: RunConfig, *, resume: bool, force: bool) -> None:
    """Rank 0 prepares the folder; if it cannot, all ranks raise the same error."""
    error = None
    if ranks.is_root:
        try:
            folder.prepare(config, resume=resume, force=force)
        except HydrasurrError as problem:
            error = problem
    if ranks.world_size > 1:
        errors = [error]
        dist.broadcast_object_list(errors)
        error = errors[0]
    if error is not None:
        raise error


def make_loader(
    config: RunConfig, store: GraphStore, task: Task, ranks: Ranks, device: torch.device, seed: int
) -> BatchLoader:
    """The training batches of a run."""
    data = config.data
    return BatchLoader(
        store["train"],
        task.columns,
        config.training.batch_size,
        share_of(ranks),
        seed=seed,
        mode=loading_mode(data, store, task.columns),
        buffer_graphs=data.buffer_graphs,
        prefetch_depth=data.prefetch,
        pin_memory=device.type == "cuda",
    )


def loading_mode(config: DataConfig, store: GraphStore, columns: list[str]) -> str:
    """What data.mode "auto" means for this store."""
    kind = store_kind(config.dataset)
    if config.mode == "auto":
        if kind != "bp":
            return "store"
        return "memory" if store["train"].nbytes(columns) <= config.memory_budget_gb * 1e9 else "blocks"
    return config.mode


def build_network(config: RunConfig, store: GraphStore, task: Task, device: torch.device, seed: int) -> GraphNetwork:
    """The untrained network; its weights follow from the seed."""
    torch.manual_seed(seed)
    network = GraphNetwork(
        config.model, store.info.feature_schema, task.targets, task.mean, task.std, store.info.degree_histogram
    )
    return (network.double() if config.training.precision == "fp64" else network).to(device)


def _train_member(
    config: RunConfig,
    member: int,
    folder: RunFolder,
    store: GraphStore,
    task: Task,
    ranks: Ranks,
    device: torch.device,
    stop: StopRequest,
    watcher: Watcher,
) -> bool:
    """Train one network of the ensemble, from its latest checkpoint if there is one. False if stopped early."""
    files = folder.member(member, config.members)
    seed = config.training.seed + member
    network = build_network(config, store, task, device, seed)
    watcher.start(config, member, network.num_parameters, device, ranks)

    def save_best(best: GraphNetwork) -> None:
        save_package(files.best, [best], _notes(config, store))

    board = Board(files.tensorboard) if ranks.is_root else None

    def report(record: EpochRecord) -> None:
        files.append_record(record)
        board.add(record)
        watcher.epoch(record, task)

    trainer = Trainer(
        network,
        task,
        store,
        make_loader(config, store, task, ranks, device, seed),
        config.training,
        ranks,
        device,
        files.latest,
        seed=seed,
        save_best=save_best,
        report=report,
        watch=watcher.batches,
        stop=stop,
    )
    if files.latest.exists():
        trainer.resume()
    if ranks.is_root:
        files.keep_records_before(trainer.progress.epoch)
    with watcher, board or nullcontext():
        return trainer.fit().finished


def _finish(
    config: RunConfig, folder: RunFolder, store: GraphStore, task: Task, ranks: Ranks, device: torch.device
) -> dict[str, Metrics]:
    """Put the best networks together in one file, and evaluate what it holds on all splits."""
    if ranks.is_root:
        bests = [folder.member(m, config.members).best for m in range(config.members)]
        networks = [network for best in bests for network in load_package(best).networks]
        save_package(folder.surrogate, networks, _notes(config, store))
    if ranks.world_size > 1:
        dist.barrier()
    ensemble = Ensemble(load_package(folder.surrogate).networks).to(device)
    results = {}
    for split in SPLITS:
        if not len(store[split]):
            continue
        collector = Collector(task, len(store[split]))
        sums = evaluate(ensemble, task, store[split], share_of(ranks), config.training.batch_size, collector)
        results[split] = sums.metrics()
        collector.save(folder.predictions(split), ranks)
    if ranks.is_root:
        folder.results.write_text(json.dumps(results, indent=2) + "\n")
    return results


def _notes(config: RunConfig, store: GraphStore) -> dict[str, Any]:
    """Where a model comes from, kept in its file."""
    info = store.info
    return {
        "run": config.name,
        "dataset": info.name,
        "training_graphs": info.graphs["train"],
        "statistics": {t.name: s.model_dump() for t, s in zip(info.targets, info.statistics, strict=True)},
        "source": info.source,
    }
