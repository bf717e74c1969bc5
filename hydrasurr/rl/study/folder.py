"""The folder of a study of distributed agents, and the results of its stages: after a stop it goes on where it was."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.files import is_free, stage, write_json, write_text
from hydrasurr.rl.study.settings import StudyConfig
from hydrasurr.strict import parse, read_json
from hydrasurr.training.folder import describe_environment, refuse_changes

HARMLESS = ("index.", "patience_minutes")
"""Keys that no stage depends on."""
Facts = dict[str, Any]
"""What a stage found, as JSON."""


class StudyFolder:
    """Paths within the folder of a study.

    `config.json`, `environment.json`, `stages/*.json` (what each stage found), `runs/NAME/` (the design runs, see
    DesignFolder) with `runs/NAME.log` (what they said), `report.json` and `report.html`.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.environment = self.path / "environment.json"
        self.stages = self.path / "stages"
        self.runs = self.path / "runs"
        self.report, self.numbers = self.path / "report.html", self.path / "report.json"

    def prepare(self, study: StudyConfig, *, force: bool = False) -> None:
        """Make the folder ready. Raises ConfigError if it holds a study with other settings, unless `force` is set,
        which deletes that, and HydrasurrError if it holds something else."""
        resolved = study.model_dump(mode="json")
        if self.config.exists():
            old = read_json(self.config)
            if not isinstance(old, dict) or old.keys() != resolved.keys():
                raise HydrasurrError(f"'{self.path}' holds something else than this study; --out names another folder")
            if force:
                self._clear()
            else:
                self._refuse_changes(old, resolved)
        elif not is_free(self.path):
            raise HydrasurrError(f"'{self.path}' holds other files; --out names another folder")
        write_json(self.config, resolved)
        if not self.environment.exists():
            write_json(self.environment, {**describe_environment(), "cores": _cores()})
        for folder in (self.stages, self.runs):
            folder.mkdir(exist_ok=True)

    def _refuse_changes(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        try:
            before = parse(StudyConfig, old, self.config).model_dump(mode="json")
            refuse_changes(before, new, self.path, HARMLESS)
        except ConfigError as error:
            raise ConfigError(f"{error}\n--out names another folder, --force deletes this study") from error

    def _clear(self) -> None:
        """Delete an older study, and nothing else that lies there; last the configuration, which tells what it is."""
        for folder in (self.stages, self.runs):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (self.environment, self.report, self.numbers, self.config):
            file.unlink(missing_ok=True)

    def stage(self, name: str, make: Callable[[], Facts]) -> Facts:
        """What a stage found, as `files.stage`."""
        return stage(self.stages / f"{name}.json", make)

    def run(self, name: str) -> Path:
        """The folder of a design run."""
        return self.runs / name

    def log(self, name: str) -> Path:
        """What a design run said."""
        return self.runs / f"{name}.log"

    def write_report(self, html: str, numbers: dict[str, Any]) -> None:
        """Write report.html and report.json."""
        write_json(self.numbers, numbers)
        write_text(self.report, html)


def _cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
