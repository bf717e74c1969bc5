"""The folder of a design run: which file is where."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from hydrasurr.errors import HydrasurrError
from hydrasurr.files import keep_records, replacing, write_json
from hydrasurr.rl.rewards.evaluator import Column
from hydrasurr.rl.rewards.history import History
from hydrasurr.rl.running.config import DesignConfig
from hydrasurr.strict import parse, read_json
from hydrasurr.training import checkpoint
from hydrasurr.training.folder import describe_environment, refuse_changes

HARMLESS = ("name", "frames", "budget", "checkpoint_minutes", "top", "top_k", "running.", "evaluation.", "scheduling.")
"""Keys that may change when a run is resumed; of `running` those that say who does what (see LASTING)."""
LASTING = ("lanes", "molecules")
"""Keys of `running` that may not."""


class DesignFolder:
    """Paths within the folder of a run.

    `config.json`, `environment.json`, `metrics.jsonl` (a line for each record of an update), `evaluations.jsonl`,
    `checkpoints/` (of each learner its part, and `latest.json`, which says which ones count), `molecules.csv` (all that
    were evaluated), `policy.safetensors`, `results.json`, `report.html`.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.environment = self.path / "environment.json"
        self.metrics = self.path / "metrics.jsonl"
        self.evaluations = self.path / "evaluations.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.latest = self.checkpoints / "latest.json"
        self.marks = self.path / "disturbed"
        self.molecules = self.path / "molecules.csv"
        self.policy = self.path / "policy.safetensors"
        self.results = self.path / "results.json"
        self.report = self.path / "report.html"

    def prepare(self, config: DesignConfig, *, resume: bool, force: bool) -> bool:
        """Make the folder ready for a run; whether there is one to go on with.

        Raises HydrasurrError if there is a run already and neither `resume` nor `force` is given, or a run of another
        kind in any case, and ConfigError if the configuration of a resumed run has changed.
        """
        resolved = config.model_dump(mode="json")
        if self.config.exists():
            old = read_json(self.config)
            if not isinstance(old, dict) or "learner" not in old:
                raise HydrasurrError(
                    f"'{self.config}' is not of a design run, so the folder holds something else; --out names another "
                    "folder"
                )
            if resume:
                before = parse(DesignConfig, old, self.config).model_dump(mode="json")
                refuse_changes(_lasting(before), _lasting(resolved), self.path, HARMLESS)
            elif force:
                self._clear()
            else:
                raise HydrasurrError(
                    f"'{self.path}' holds a run already: --resume goes on with it, --force deletes it, --out names "
                    "another folder"
                )
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.config, resolved)
        write_json(self.environment, describe_environment())
        return resume and self.latest.exists()

    def _clear(self) -> None:
        """Remove what a run writes and nothing else, as other files may lie here; the configuration, which tells what
        it is, last."""
        for folder in (self.checkpoints, self.marks):
            shutil.rmtree(folder, ignore_errors=True)
        files = (self.environment, self.metrics, self.evaluations, self.molecules)
        for file in (*files, self.policy, self.results, self.report, self.config):
            file.unlink(missing_ok=True)

    # -- checkpoints -----------------------------------------------------------------------------------

    def save_part(self, update: int, rank: int, state: dict[str, Any]) -> None:
        """A learner's part of a checkpoint; it counts once `settle` has been called, after all have saved theirs."""
        checkpoint.save(state, self._part(update, rank))

    def settle(self, update: int, learners: int) -> None:
        """The checkpoint of this update is the latest from now on; older ones are removed."""
        write_json(self.latest, {"update": update, "learners": learners})
        for other in self.checkpoints.iterdir():
            if other.is_dir() and other != self._part(update, 0).parent:
                shutil.rmtree(other, ignore_errors=True)

    def load_part(self, rank: int, learners: int) -> dict[str, Any]:
        """A learner's part of the latest checkpoint. Raises HydrasurrError if it is of another number of learners."""
        latest = read_json(self.latest)
        if latest["learners"] != learners:
            raise HydrasurrError(
                f"the checkpoint in '{self.checkpoints}' is of {latest['learners']} learners, each with its own lanes "
                f"and replay; there are {learners} now. Go on with as many"
            )
        return checkpoint.load(self._part(latest["update"], rank))

    def _part(self, update: int, rank: int) -> Path:
        return self.checkpoints / f"{update:09d}" / f"{rank}.pt"

    # -- records ---------------------------------------------------------------------------------------

    def keep_records_until(self, update: int) -> None:
        """Drop the records of later updates, which a resumed run will write again."""
        for file in (self.metrics, self.evaluations):
            keep_records(file, lambda record: record["update"] <= update)

    def write_molecules(self, history: History, columns: Sequence[Column]) -> None:
        """All evaluated molecules in the order of their evaluation, with what they are worth."""
        with replacing(self.molecules) as temporary, temporary.open("w", newline="") as file:
            write_table(file, history, columns)


def write_table(file: TextIO, history: History, columns: Sequence[Column]) -> None:
    """Molecules as CSV: what they are worth, their properties, and the standard deviations of these."""
    names = [f"{column.name} ({column.unit})" if column.unit else column.name for column in columns]
    table = csv.writer(file)
    table.writerow(["smiles", "worth", *names, *(f"std of {name}" for name in names)])
    worth = history.worth
    for k, smiles in enumerate(history.smiles):
        row = np.concatenate([[worth.value[k]], worth.properties[k], worth.std[k]])
        table.writerow([smiles, *(f"{value:.6g}" for value in row)])


def _lasting(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration with the keys of `running` that may not change where they are not taken for harmless."""
    return config | {f"running {key}": config["running"][key] for key in LASTING}
