"""All that a run folder tells of a run, finished or still under way."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hydrasurr.errors import HydrasurrError
from hydrasurr.models.package import load_package
from hydrasurr.stores.info import SPLITS, DatasetInfo
from hydrasurr.training.config import RunConfig, load_run_config
from hydrasurr.training.folder import RunFolder
from hydrasurr.training.metrics import Metrics
from hydrasurr.training.tasks import units


@dataclass(frozen=True)
class RunFiles:
    """What a run folder holds so far.

    Attributes
    ----------
    members : for each member begun the records of its epochs
    results : split -> metrics; empty until the run has finished
    predictions : split -> target -> `[3, n]` of label, prediction and standard deviation, n > 0, where label and
        prediction are finite
    info : of the data set; None if the folder does not tell
    parameters : of one network; None before the first checkpoint
    """

    config: RunConfig
    members: list[list[dict[str, Any]]]
    results: dict[str, Metrics]
    predictions: dict[str, dict[str, np.ndarray]]
    info: DatasetInfo | None
    environment: dict[str, Any]
    parameters: int | None

    @classmethod
    def read(cls, folder: RunFolder) -> RunFiles:
        """Raises HydrasurrError if there is no run in the folder."""
        if not folder.config.is_file():
            raise HydrasurrError(f"'{folder.path}' holds no run: it has no config.json")
        results = _json(folder.results)
        return cls(
            config=load_run_config(folder.config),
            members=[member.records() for member in folder.members()],
            results=results,
            predictions={split: _predictions(folder.predictions(split)) for split in SPLITS if split in results},
            info=DatasetInfo.model_validate_json(folder.dataset.read_text()) if folder.dataset.is_file() else None,
            environment=_json(folder.environment),
            parameters=_parameters(folder),
        )

    @property
    def records(self) -> list[dict[str, Any]]:
        """The epochs of all members, one member after another."""
        return [record for records in self.members for record in records]

    @property
    def targets(self) -> list[str]:
        metrics = next(iter(self.results.values()), None) or (self.records[0]["train"] if self.records else {})
        return list(metrics)

    def unit(self, target: str) -> str:
        return units(self.config, self.info).get(target, "") if self.info else ""

    @property
    def best(self) -> dict[str, Any] | None:
        """The record of the best epoch so far of any member."""
        bests = [record for record in self.records if record["best"]]
        return min(bests, key=lambda record: record["val_loss"], default=None)


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.is_file() else {}


def _predictions(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        return {}
    with np.load(path) as arrays:
        labelled = {name: rows[:, np.isfinite(rows[:2]).all(axis=0)] for name, rows in arrays.items()}
    return {name: rows for name, rows in labelled.items() if rows.size}


def _parameters(folder: RunFolder) -> int | None:
    packages = [folder.surrogate, *(member.best for member in folder.members())]
    path = next((path for path in packages if path.is_file()), None)
    with suppress(HydrasurrError):  # a run of another version is still worth a report
        return load_package(path).networks[0].num_parameters if path else None
    return None
