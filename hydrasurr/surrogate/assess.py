"""A trained model against the labels of a data set."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import torch
from torch import Tensor

from hydrasurr.errors import HydrasurrError
from hydrasurr.graphs.schema import Target
from hydrasurr.loading import GraphBatch, Share
from hydrasurr.models.network import Physical
from hydrasurr.stores import SPLITS, GraphStore, Split, open_store
from hydrasurr.surrogate.predictor import load
from hydrasurr.training.evaluation import evaluate
from hydrasurr.training.metrics import Metrics
from hydrasurr.training.task import Task


def assess(
    run_dir: str | Path,
    dataset: str | Path | None = None,
    split: str = "all",
    out: str | Path | None = None,
    device: str = "cpu",
    batch_size: int = 256,
) -> tuple[dict[str, Metrics], dict[str, str]]:
    """Metrics of a model on splits of a data set, and the unit of each target.

    Parameters
    ----------
    run_dir : a run folder or an exported model
    dataset : a data set whose targets have the names of the model's; None: the one the run was trained on
    split : "train", "val", "test", or "all" for each that has graphs
    out : CSV file for every graph-level label and prediction

    Raises SchemaError if the data set was featurized otherwise than the model's, HydrasurrError if it lacks a
    target.
    """
    surrogate = load(run_dir, device)
    dataset = dataset or _training_data(Path(run_dir))
    store = open_store(dataset)
    surrogate.schema.require(store.info.feature_schema, f"'{dataset}'")
    splits = [name for name in SPLITS if store.info.graphs[name]] if split == "all" else [split]
    task = _task((*surrogate.targets, *surrogate.node_targets), store)
    writer = _Writer(out, task, store) if out else None
    results = {}
    for name in splits:
        visit = writer.visitor(name, store[name]) if writer else None
        results[name] = evaluate(surrogate.ensemble, task, store[name], Share(), batch_size, visit).metrics()
    if writer:
        writer.close()
    return results, {target.name: target.unit for target in task.targets}


def _training_data(run_dir: Path) -> str:
    config = run_dir / "config.json"
    if not config.is_file():
        raise HydrasurrError(f"'{run_dir}' is no run folder, so the data set has to be named")
    return json.loads(config.read_text())["data"]["dataset"]


def _task(targets: tuple[Target, ...], store: GraphStore) -> Task:
    """Where the model's targets are in the data set. Raises HydrasurrError if one is not, or in another unit."""
    info = store.info
    known = {target.name: target for target in info.targets}
    for target in targets:
        if target.name not in known:
            raise HydrasurrError(f"'{info.name}' has no target '{target.name}'; it has {', '.join(known) or 'none'}")
        if known[target.name] != target:
            theirs = known[target.name]
            raise HydrasurrError(
                f"target '{target.name}' is a {theirs.level} property in {theirs.unit or 'no unit'} in '{info.name}', "
                f"a {target.level} property in {target.unit or 'no unit'} in the model"
            )
    return Task.of(targets, [1.0] * len(targets), info)


class _Writer:
    """Writes one CSV row a graph: split, row of the source table, SMILES, then label and prediction a target."""

    def __init__(self, path: str | Path, task: Task, store: GraphStore):
        self._file = Path(path).open("w", newline="")  # noqa: SIM115 (closed by close)
        self._csv = csv.writer(self._file)
        self._names = [target.name for target in task.targets if target.level == "graph"]
        header = [f"{name}{suffix}" for name in self._names for suffix in ("", "_predicted", "_std")]
        self._csv.writerow(["split", "row", "smiles", *header])

    def visitor(self, split: str, graphs: Split):
        position = 0

        def visit(batch: GraphBatch, predicted: Physical, labels: Tensor | None, _: Tensor | None) -> None:
            nonlocal position
            table = graphs.read(position, position + batch.num_graphs, ["row", "smiles"])
            position += batch.num_graphs
            if labels is None:
                return
            std = torch.full_like(labels, torch.nan) if predicted.graph_std is None else predicted.graph_std
            values = torch.stack([labels, predicted.graph, std], dim=2).flatten(1).cpu().tolist()
            for row, smiles, numbers in zip(table.columns["row"].tolist(), table.smiles(), values, strict=True):
                self._csv.writerow([split, row, smiles, *("" if v != v else f"{v:.8g}" for v in numbers)])

        return visit

    def close(self) -> None:
        self._file.close()
