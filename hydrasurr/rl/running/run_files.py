"""All that the folder of a design run tells of it, finished or still under way."""

from __future__ import annotations

import csv
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from hydrasurr.errors import HydrasurrError
from hydrasurr.files import read_records
from hydrasurr.rl.rewards.evaluator import Column, Evaluator
from hydrasurr.rl.rewards.history import History, merge
from hydrasurr.rl.running.condensed import Record
from hydrasurr.rl.running.config import DesignConfig, load_design_config
from hydrasurr.rl.running.folder import DesignFolder
from hydrasurr.rl.running.history_state import history_from
from hydrasurr.rl.running.results import results_of
from hydrasurr.strict import read_json


@dataclass(frozen=True)
class DesignRun:
    """What a folder holds so far.

    Attributes
    ----------
    records, evaluations : of updates, and of the evaluator if there is one
    learners : how many; 1 before the first checkpoint
    results : as in results.json; of a run under way from its latest checkpoint, empty if there is none
    worth : float64 `[n]`, of the molecules of `results` in the order of their evaluation
    finished : `results` are the last ones
    """

    config: DesignConfig
    records: list[Record]
    evaluations: list[Record]
    learners: int
    results: dict[str, Any]
    worth: np.ndarray
    finished: bool
    environment: dict[str, Any]

    @classmethod
    def read(cls, folder: DesignFolder) -> DesignRun:
        """Raises HydrasurrError if there is no run in the folder."""
        if not folder.config.is_file():
            raise HydrasurrError(f"'{folder.path}' holds no run: it has no config.json")
        if "learner" not in (raw := read_json(folder.config)) or not isinstance(raw, dict):
            raise HydrasurrError(
                f"'{folder.config}' is not of a design run; loops and studies write their reports when started again"
            )
        config = load_design_config(folder.config)
        records = read_records(folder.metrics)
        learners = read_json(folder.latest)["learners"] if folder.latest.is_file() else 1
        results = read_json(folder.results) if folder.results.is_file() else {}
        finished = bool(results) and (not records or results["frames"] >= records[-1]["total_frames"])
        if finished:
            worth = _worth(folder)
        else:
            results, worth = _so_far(config, folder, learners, records)
        environment = read_json(folder.environment) if folder.environment.is_file() else {}
        evaluations = read_records(folder.evaluations)
        return cls(config, records, evaluations, learners, results, worth, finished, environment)


def _worth(folder: DesignFolder) -> np.ndarray:
    with folder.molecules.open(newline="") as file:
        return np.array([float(row["worth"]) for row in csv.DictReader(file)])


def _so_far(
    config: DesignConfig, folder: DesignFolder, learners: int, records: list[Record]
) -> tuple[dict[str, Any], np.ndarray]:
    """Results and worth by the latest checkpoint. A run that goes on may remove it while it is read."""
    histories: list[History] = []
    if folder.latest.is_file():
        with suppress(HydrasurrError):
            histories = [history_from(folder.load_part(rank, learners)["history"]) for rank in range(learners)]
    if not histories:
        return {}, np.empty(0)
    history = merge(histories)
    return results_of(config, history, _columns(config), records), history.worth.value


def _columns(config: DesignConfig) -> list[Column]:
    """Units are those of models, which may be elsewhere by now."""
    objective = config.objective
    with suppress(HydrasurrError):
        return Evaluator(objective).columns
    return [Column(part.property.name, "") for part in (*objective.terms, *objective.constraints)]
