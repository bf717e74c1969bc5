"""The surrogate of each round: an ordinary training run on the data set of the round."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.loop.config import LoopConfig
from hydrasurr.stores import open_store
from hydrasurr.surrogate.predictor import load
from hydrasurr.training.config import DataConfig, RunConfig
from hydrasurr.training.folder import RunFolder
from hydrasurr.training.run import run

SEEDS = 1000
"""Between the seeds of two loops, so that no two of their networks start alike."""


def run_config(config: LoopConfig, dataset: Path, round: int, start_from: Path | None) -> RunConfig:
    """The run of a round; `start_from` is the model of the round before."""
    training = config.training if start_from is None else config.continued or config.training
    changes: dict[str, Any] = {"seed": training.seed + SEEDS * config.seed}
    if start_from is not None:
        changes["start_from"] = start_from
    return RunConfig(
        name=f"{config.name}-{round}",
        data=DataConfig(dataset=str(dataset)),
        model=config.model,
        training=training.model_copy(update=changes),
        members=config.members,
    )


def train(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Train, or go on with a training that was stopped; returns split -> target -> metrics of the finished model.

    A metric that cannot be told, such as R^2 of one molecule, is None.

    Raises HydrasurrError if it is asked to stop meanwhile; its checkpoint is kept.
    """
    files = RunFolder(folder)
    if not files.report.exists() and not run(config, files, resume=True):
        raise HydrasurrError(f"the training was stopped; start the loop again, and it goes on in '{folder}'")
    results = json.loads(files.results.read_text())
    return {split: {target: _plain(row) for target, row in targets.items()} for split, targets in results.items()}


def _plain(metrics: dict[str, float]) -> dict[str, float | None]:
    return {key: value if np.isfinite(value) else None for key, value in metrics.items()}


def held_out_error(model: Path, dataset: Path, target: str) -> float | None:
    """MAE of a model on the test split of a data set, in the target's unit; None if there are no labels."""
    store = open_store(dataset)
    table = store["test"].read(0, len(store["test"]))
    true = table.y[:, [t.name for t in store.info.graph_targets].index(target)]
    error = np.abs(load(model).predict_table(table)[target] - true)
    error = error[np.isfinite(error)]
    return float(error.mean()) if len(error) else None
