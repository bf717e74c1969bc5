"""Training runs for tests: small configurations, in this process and in others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def run_config(dataset: Path, **sections: dict[str, Any]) -> dict[str, Any]:
    """A run of a small network; sections are merged over its defaults."""
    raw = {
        "name": "tiny",
        "data": {"dataset": str(dataset)},
        "model": {"hidden": 12, "layers": 2},
        "training": {"epochs": 2, "batch_size": 32},
    }
    for name, values in sections.items():
        raw[name] = {**raw[name], **values} if isinstance(values, dict) else values
    return raw


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "hydrasurr", *map(str, arguments)]


def ranked(*arguments: str | Path) -> list[str]:
    """The command of a rank under a launcher, see tests.ranked."""
    return [sys.executable, "-m", "tests.ranked", *map(str, arguments)]


def environment() -> dict[str, str]:
    """Of a user's shell: one thread, the source tree importable, no launcher, nothing set by LAMMPS on import."""
    inherited = {name: value for name, value in os.environ.items() if name != "LAMMPS_PLUGIN_PATH"}
    return {**inherited, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


_started: list[subprocess.Popen] = []


def start(arguments: list[str], cwd: Path, **options: Any) -> subprocess.Popen:
    """Start a process, which ends with the test at the latest."""
    process = subprocess.Popen(
        arguments, cwd=cwd, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )
    _started.append(process)
    return process


def end_started() -> None:
    """End what is left of a test that has failed: by SIGTERM at first, so that a launcher ends its ranks."""
    left = [process for process in _started if process.poll() is None]
    for process in left:
        process.terminate()
    for process in left:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    _started.clear()


def write_config(path: Path, dataset: Path, **sections: Any) -> Path:
    path.write_text(json.dumps(run_config(dataset, **sections)))
    return path
