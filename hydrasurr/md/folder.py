"""The folder of a molecular dynamics run: which file is where."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.files import write_json, write_text
from hydrasurr.md.config import MDConfig
from hydrasurr.strict import read_json
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

    def check(self, config: MDConfig, *, resume: bool, force: bool) -> bool:
        """Whether there is a run to go on with; changes nothing.

        Raises HydrasurrError if there is a run already and neither `resume` nor `force` is given, or a run of another
        kind in any case, and ConfigError if the configuration of a resumed run has changed.
        """
        if not self.restart.exists():
            if self.config.exists() and "ensemble" not in read_json(self.config):
                raise HydrasurrError(
                    f"'{self.config}' is not of molecular dynamics, so the folder holds something else; "
                    "--out names another folder"
                )
            return False
        if not (resume or force):
            raise HydrasurrError(
                f"'{self.path}' holds a run already: --resume goes on with it, --force deletes it, --out names "
                "another folder"
            )
        if resume:
            _refuse_changes(read_json(self.config), config.model_dump(mode="json"), self.path)
        return resume

    def prepare(self, config: MDConfig, *, keep: bool) -> None:
        """Make the folder ready for going on with its run, or without `keep` for a fresh one in place of it."""
        self.path.mkdir(parents=True, exist_ok=True)
        if not keep:
            trajectories = self.trajectory("extxyz"), self.trajectory("dcd")
            for file in (self.restart, self.structure, self.log, self.results, *trajectories):
                file.unlink(missing_ok=True)  # one by one, as other files may lie in this folder
        write_text(self.config, config.model_dump_json(indent=2) + "\n")
        versions = {name: metadata.version(name) for name in ("ase", "vesin")}
        write_json(self.environment, {**describe_environment(), **versions})

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around what writes here. Raises HydrasurrError where the system refuses and names no file: a full disk."""
        try:
            yield
        except OSError as error:
            if error.filename is not None:
                raise
            raise HydrasurrError(
                f"cannot write to '{self.path}': {error.strerror or error}; once it can be written to, --resume goes "
                "on from the last restart"
            ) from error


def _refuse_changes(old: dict[str, Any], new: dict[str, Any], path: Path) -> None:
    changed = [key for key in sorted(old | new) if old.get(key) != new.get(key) and key not in HARMLESS]
    if changed:
        lines = [f"  {key}: {json.dumps(old.get(key))} became {json.dumps(new.get(key))}" for key in changed]
        raise ConfigError("\n".join([f"'{path}' was started with another configuration:", *lines]))
