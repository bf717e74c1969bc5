"""A small real data set, and ways to train on it in this process and in others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hydrasurr.training.config import RunConfig
from hydrasurr.training.folder import RunFolder
from hydrasurr.training.run import run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 molecules of the shipped sample: 320 to train, 40 to validate, 40 to test."""
    from preprocessing.card import SplitRule, find_card, read_card
    from preprocessing.pipeline import preprocess

    card = read_card(find_card("qm9_gap_5k"))
    card = card.model_copy(update={"split": SplitRule(fractions=(0.8, 0.1, 0.1))})
    path = tmp_path_factory.mktemp("data") / "tiny.bp"
    preprocess(card, path, workers=1, limit=400, show=False)
    return path


def run_config(dataset: Path, **sections: dict[str, Any]) -> dict[str, Any]:
    """A run of a small network; sections are merged over its defaults."""
    raw = {
        "name": "tiny",
        "data": {"dataset": str(dataset)},
        "model": {"hidden": 12, "layers": 2},
        "training": {"epochs": 2, "batch_size": 32, "threads": 1},
    }
    for name, values in sections.items():
        raw[name] = {**raw[name], **values} if isinstance(values, dict) else values
    return raw


@pytest.fixture
def train(dataset: Path, tmp_path: Path) -> Callable[..., RunFolder]:
    """Train in this process: `train(training={...}, model={...})` returns the finished run's folder."""

    def train(out: str = "run", resume: bool = False, **sections: Any) -> RunFolder:
        folder = RunFolder(tmp_path / out)
        run(RunConfig.model_validate(run_config(dataset, **sections)), folder, resume=resume)
        return folder

    return train


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "hydrasurr", *map(str, arguments)]


def environment() -> dict[str, str]:
    """Of a user's shell: one thread, the source tree importable, no launcher."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def start(arguments: list[str], cwd: Path) -> subprocess.Popen:
    return subprocess.Popen(
        arguments, cwd=cwd, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def write_config(path: Path, dataset: Path, **sections: Any) -> Path:
    path.write_text(json.dumps(run_config(dataset, **sections)))
    return path
