"""The folder of a loop: which file is where, and how what an agent found is kept."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np

from hydrasurr.errors import HydrasurrError
from hydrasurr.files import is_free, replacing, write_json
from hydrasurr.rl.loop.config import LoopConfig
from hydrasurr.rl.rewards.history import History, Worth
from hydrasurr.strict import parse, read_json
from hydrasurr.training.folder import describe_environment, refuse_changes

HARMLESS = ("workers", "scheduling.")
"""Keys that may change when a loop goes on."""


class LoopFolder:
    """Paths within the folder of a loop.

    `config.json`, `environment.json`, `labels.jsonl` (every result of the oracle), `drawn.json` and `initial.json` (of
    the first data set), `data/N.bp` and `models/N/` (what the surrogate of round N learnt from, and its run; the last
    ones are of the end), `rounds/N/` (the agent's folder `agent/` and files of the stages), `final/`, `report.json` and
    `report.html`.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.environment = self.path / "environment.json"
        self.journal = self.path / "labels.jsonl"
        self.drawn = self.path / "drawn.json"
        self.final = self.path / "final"
        self.report, self.numbers = self.path / "report.html", self.path / "report.json"

    def data(self, round: int) -> Path:
        return self.path / "data" / f"{round}.bp"

    def model(self, round: int) -> Path:
        return self.path / "models" / str(round)

    def round(self, round: int) -> Path:
        return self.path / "rounds" / str(round)

    def prepare(self, config: LoopConfig, *, force: bool = False) -> None:
        """Make the folder ready, for a new loop or to go on with the one in it.

        Raises ConfigError if that one has another configuration, unless `force` is set, which deletes it, and
        HydrasurrError if the folder holds something else.
        """
        resolved = config.model_dump(mode="json")
        if self.config.exists():
            old = read_json(self.config)
            if not isinstance(old, dict) or "selection" not in old:
                raise HydrasurrError(f"'{self.path}' holds something else than a loop; --out names another folder")
            if force:
                self._clear()
            else:
                before = parse(LoopConfig, old, self.config).model_dump(mode="json")
                refuse_changes(before, resolved, self.path, HARMLESS)
        elif not is_free(self.path):
            raise HydrasurrError(f"'{self.path}' holds other files; --out names another folder")
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.config, resolved)
        write_json(self.environment, describe_environment())

    def _clear(self) -> None:
        """Remove what a loop writes and nothing else; last the configuration, which tells what it is."""
        beginning = (self.drawn, self.path / "initial.json")
        for name in ("data", "models", "rounds", "final"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for file in (self.environment, self.journal, self.report, self.numbers, *beginning, self.config):
            file.unlink(missing_ok=True)


def write_history(path: Path, history: History) -> None:
    """Write a history; the file is at any moment the old or the new one."""
    text = np.frombuffer("\n".join(history.smiles).encode(), np.uint8)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, smiles=text, count=len(history), **vars(history.worth))


def read_history(path: Path) -> History:
    """Raises HydrasurrError if the file is damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            text = arrays["smiles"].tobytes().decode()
            smiles = tuple(text.split("\n")) if arrays["count"] else ()
            return History(smiles, Worth(*(arrays[name] for name in ("value", "properties", "std"))))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise HydrasurrError(
            f"'{path}' is damaged ({error}); delete it and proposals.json beside it, and it is made again"
        ) from error
