"""The folder of a molecular dynamics run: which file is where."""

from __future__ import annotations

import json
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.md.config import MDConfig
from hydrasurr.training.folder import describe_environment

HARMLESS = ("steps", "threads", "restart_interval", "stops")
"""Keys that may change when a run is resumed."""


class MDFolder:
    """Paths within the folder of a run.

    `config.json`, `environment.json`, `structure.extxyz` (what the run began with), `log.csv`, `trajectory.extxyz` or
    `trajectory.dcd`, `restart.npz`, `results.json`.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.environment = self.path / "environment.json"
        self.structure = self.path / "structure.extxyz"
        self.log = self.path / "log.csv"
        self.restart = self.path / "restart.npz"
        self.results = self.path / "results.json"

    def trajectory(self, format: str) -> Path:
        return self.path / f"trajectory.{format}"

    def prepare(self, config: MDConfig, *, resume: bool, force: bool) -> None:
        """Make the folder ready for a run, or for going on with one.

        Raises HydrasurrError if there is a run already and neither `resume` nor `force` is given, and ConfigError if
        the configuration of a resumed run has changed.
        """
        resolved = config.model_dump(mode="json")
        if self.restart.exists():
            if resume:
                _refuse_changes(json.loads(self.config.read_text()), resolved, self.path)
            elif force:
                shutil.rmtree(self.path)
            else:
                raise HydrasurrError(
                    f"'{self.path}' holds a run already: --resume goes on with it, --force deletes it, --out names "
                    "another folder"
                )
        self.path.mkdir(parents=True, exist_ok=True)
        self.config.write_text(json.dumps(resolved, indent=2) + "\n")
        versions = {name: metadata.version(name) for name in ("ase", "vesin")}
        self.environment.write_text(json.dumps({**describe_environment(), **versions}, indent=2) + "\n")


def _refuse_changes(old: dict[str, Any], new: dict[str, Any], path: Path) -> None:
    changed = [key for key in sorted(old | new) if old.get(key) != new.get(key) and key not in HARMLESS]
    if changed:
        lines = [f"  {key}: {json.dumps(old.get(key))} became {json.dumps(new.get(key))}" for key in changed]
        raise ConfigError("\n".join([f"'{path}' was started with another configuration:", *lines]))
