"""The folder of a run: which file is where, and how it is written."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from hydrasurr import __version__
from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.files import append_record, keep_records, read_records, write_json, write_text
from hydrasurr.stores import SPLITS, DatasetInfo
from hydrasurr.stores.info import read_header
from hydrasurr.strict import parse, read_json
from hydrasurr.training.config import RunConfig, load_run_config
from hydrasurr.training.tasks import units

HARMLESS = (
    "data.dataset",
    "data.mode",
    "data.memory_budget_gb",
    "data.prefetch",
    "training.threads",
    "training.checkpoint_minutes",
    "training.communication.hierarchical",
    "training.communication.ranks_per_node",
    "training.communication.overlap",
    "training.communication.bucket_mb",
)
"""Keys that may change when a run is resumed."""


class RunFolder:
    """Paths within the folder of a run.

    `config.json`, `environment.json`, `dataset.json` (the header of the data), `surrogate.safetensors` (the
    result), `results.json`, `predictions/`, `report.html`, and for each member of the ensemble a MemberFolder:
    the run's folder itself if there is but one, else `members/N`.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.environment = self.path / "environment.json"
        self.dataset = self.path / "dataset.json"
        self.surrogate = self.path / "surrogate.safetensors"
        self.results = self.path / "results.json"
        self.report = self.path / "report.html"

    def predictions(self, split: str) -> Path:
        return self.path / "predictions" / f"{split}.npz"

    def units(self) -> dict[str, str]:
        """The unit of each target, by name."""
        return units(load_run_config(self.config), read_header(self.dataset))

    def member(self, index: int, members: int) -> MemberFolder:
        return MemberFolder(self.path if members == 1 else self.path / "members" / str(index))

    def members(self) -> list[MemberFolder]:
        """The members that have begun."""
        folders = sorted((self.path / "members").glob("[0-9]*"), key=lambda path: int(path.name))
        return [MemberFolder(path) for path in folders or [self.path]]

    def prepare(self, config: RunConfig, info: DatasetInfo, *, resume: bool, force: bool) -> None:
        """Make the folder ready for a run, or for going on with one.

        Raises HydrasurrError if there is a run already and neither `resume` nor `force` is given, or a run of another
        kind in any case, and ConfigError if the configuration of a resumed run has changed.
        """
        resolved = config.model_dump(mode="json")
        if self.config.exists():
            old = read_json(self.config)
            if not isinstance(old, dict) or "training" not in old:
                raise HydrasurrError(
                    f"'{self.config}' is not of a training, so the folder holds something else; "
                    "--out names another folder"
                )
            if resume:
                refuse_changes(parse(RunConfig, old, self.config).model_dump(mode="json"), resolved, self.path)
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
        write_text(self.dataset, info.model_dump_json(indent=2) + "\n")

    def _clear(self) -> None:
        """Remove what a run writes and nothing else, as other files may lie in this folder."""
        for member in [MemberFolder(self.path), *self.members()]:
            member.clear()
        predictions = [self.predictions(split) for split in SPLITS]
        files = [self.surrogate, self.results, self.report, self.environment, self.dataset]
        # The configuration last: what is left by whoever is killed in between is still a run, and in the way.
        _remove([*files, *predictions, self.config], [predictions[0].parent, self.path / "members"])


class MemberFolder:
    """Files of one training: metrics.jsonl, tensorboard/, checkpoints/latest.pt and best.safetensors."""

    def __init__(self, path: Path):
        self.path = path
        self.metrics = path / "metrics.jsonl"
        self.tensorboard = path / "tensorboard"
        self.latest = path / "checkpoints" / "latest.pt"
        self.best = path / "checkpoints" / "best.safetensors"

    def clear(self) -> None:
        """Remove these files, and folders that are empty then."""
        events = self.tensorboard.glob("events.out.tfevents.*")
        folders = [self.tensorboard, self.latest.parent, self.path]
        _remove([self.metrics, self.latest, self.best, *events], folders)

    def keep_records_before(self, epoch: int) -> None:
        """Drop the records of `epoch` and later ones, which a resumed run will write again."""
        keep_records(self.metrics, lambda record: record["epoch"] < epoch)

    def append_record(self, record: Any) -> None:
        append_record(self.metrics, asdict(record))

    def records(self) -> list[dict[str, Any]]:
        """The epochs so far."""
        return read_records(self.metrics)


def describe_environment() -> dict[str, Any]:
    """Versions and hardware that a result depends on."""
    packages = ("torch", "torch-geometric", "adios2", "rdkit", "numpy", "mpi4py", "pydantic")
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    cuda = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "hydrasurr": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "packages": versions,
        "machine": platform.machine(),
        "system": platform.platform(),
        "threads": torch.get_num_threads(),
        "gpus": cuda,
        "command": sys.argv,
    }


def _commit() -> str | None:
    """The commit of the source tree this runs from, None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        run = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.stdout.strip() or None


def _remove(files: Iterable[Path], folders: Iterable[Path]) -> None:
    """Remove files, with what an interrupted run left half written of them, and of the folders the empty ones."""
    for file in files:
        file.unlink(missing_ok=True)
        file.with_name(file.name + ".tmp").unlink(missing_ok=True)
    for folder in folders:
        with suppress(OSError):  # of a folder that is not empty or not there
            folder.rmdir()


def _flat(section: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in section.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def refuse_changes(
    old: dict[str, Any], new: dict[str, Any], path: Path, harmless: Collection[str] = HARMLESS
) -> None:
    """Raise ConfigError if they differ in other keys than the harmless ones, of which "a." stands for all of a section;
    keys that a configuration of an older version lacks have their defaults."""
    before, after = _flat(old), _flat(new)
    changed = [k for k in sorted(before | after) if before.get(k) != after.get(k) and not _is_one_of(k, harmless)]
    if changed:
        lines = [f"  {key}: {before.get(key)} became {after.get(key)}" for key in changed]
        raise ConfigError("\n".join([f"'{path}' was started with another configuration:", *lines]))


def _is_one_of(key: str, names: Collection[str]) -> bool:
    return any(key == name or (name.endswith(".") and key.startswith(name)) for name in names)
