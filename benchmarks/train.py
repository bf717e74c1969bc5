"""Whole epochs of training, data included, against PyG's network fed by PyG's DataLoader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch_geometric.loader import DataLoader

from benchmarks.measure import interleaved
from benchmarks.molecules import Setting, dataset
from benchmarks.networks import peers, pyg_graphs
from benchmarks.result import Bar, Result
from hydrasurr.graphs import GraphTable
from hydrasurr.launcher import Ranks
from hydrasurr.stores import open_store
from hydrasurr.training.config import RunConfig
from hydrasurr.training.folder import RunFolder
from hydrasurr.training.run import Job
from hydrasurr.training.tasks import choose_task
from hydrasurr.training.trainer import Trainer

BATCH = 128


def run(setting: Setting) -> Result:
    """Every graph of the training split once an epoch, shuffled, batch by batch to a step of AdamW."""
    result = Result(
        "train",
        f"graphs/s of whole epochs, 6 PNA layers with bond features, batch {BATCH}, one thread: hydrasurr's Trainer "
        "on a BP data set, against the same network of PyG's PNAConv with PyG's DataLoader over a list in memory",
        minimal=setting.minimal,
    )
    for source, count in (("QM9", 8000), ("ZINC", 4000)):
        if source in setting.sources():
            _compare(result, setting, dataset(setting, source, setting.size(count, 400)), source, 55)
    _compare(result, setting, dataset(setting, "QM9", setting.size(2000, 400)), "QM9", 200)
    return result


def _compare(result: Result, setting: Setting, path: Path, source: str, width: int) -> None:
    ours = {mode: Epochs(path, width, mode) for mode in ("memory", "blocks")}
    cases = {f"hydrasurr, {mode}": case for mode, case in ours.items()} | {"PyG": _pyg_epochs(ours["memory"])}
    timing = interleaved(cases, setting.repeats)
    for name, measured in timing.items():
        row = {"molecules": source, "width": width, "training": name}
        row |= {"graphs/s": measured.rate, "graphs/CPU-s": measured.cpu_rate}
        result.rows.append(row | {"waiting for data": ""})
    for mode, case in ours.items():
        row = next(row for row in result.rows[-3:] if row["training"].endswith(mode))
        row["waiting for data"] = f"{case.waiting:.2%}"
    ratio = timing["hydrasurr, memory"].over(timing["PyG"])
    result.bars.append(Bar(f"{source}, width {width}: hydrasurr / PyG", ratio, 2.5, 4.0))
    waiting = 100 * ours["memory"].waiting
    result.bars.append(Bar(f"{source}, width {width}: waiting for data", waiting, 2.0, at_most=True, unit=" %"))


class Epochs:
    """Calls train one epoch after another as a run does; `waiting` is the part of the time spent on data."""

    def __init__(self, path: Path, width: int, mode: str = "memory", ranks: Ranks | None = None) -> None:
        config = RunConfig.model_validate(
            {
                "name": "benchmark",
                "data": {"dataset": str(path), "mode": mode},
                "model": {"hidden": width, "layers": 6},
                "training": {"batch_size": BATCH, "device": "cpu"},
            }
        )
        folder = RunFolder(path.parent / "no-run")
        store = open_store(path)
        job = Job(config, folder, store, choose_task(config, store.info), ranks or Ranks(), torch.device("cpu"))
        self.job, self.network = job, job.network(seed=0)
        self.trainer = Trainer(
            self.network,
            job.task,
            job.store,
            job.loader(seed=0),
            config.training,
            job.ranks,
            job.device,
            folder.path / "never-saved",
            seed=0,
            save_best=lambda network: None,
            report=lambda record: None,
        )
        self.trainer.start()
        self._waited = self._total = 0.0

    def __call__(self) -> int:
        trainer, progress = self.trainer, self.trainer.progress
        batches = trainer.loader.epoch(progress.epoch)
        for _ in range(len(trainer.loader)):
            trainer.step(batches)
        progress.epoch, progress.step = progress.epoch + 1, 0
        seconds = trainer.timer.take()
        self._waited += seconds["load"]
        self._total += sum(seconds.values())
        return len(trainer.loader.split)

    @property
    def waiting(self) -> float:
        return self._waited / self._total

    def table(self) -> GraphTable:
        split = self.job.store["train"]
        return split.read(0, len(split), self.job.task.columns)


def _pyg_epochs(ours: Epochs) -> Callable[[], int]:
    training = peers(ours.network)
    graphs = pyg_graphs(ours.table())
    loader = DataLoader(graphs, BATCH, shuffle=True)

    def epoch() -> int:
        for batch in loader:
            training.step(batch)
        return len(graphs)

    return epoch
