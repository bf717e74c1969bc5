"""A design run that a study has started, in a process of its own."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hydrasurr.errors import HydrasurrError
from hydrasurr.files import read_records
from hydrasurr.rl.running.folder import DesignFolder
from hydrasurr.rl.study.folder import StudyFolder
from hydrasurr.rl.study.launch import Launch
from hydrasurr.rl.study.settings import StudyConfig
from hydrasurr.rl.study.variants import Run, Shape
from tests.runs import start

DESIGN = {"name": "x", "learner": {"type": "impala"}, "frames": 10_000_000}
"""A run that does not end by itself."""


def _start(folder: Path, stdin: int) -> subprocess.Popen:
    settings = StudyConfig.model_validate({"design": DESIGN})
    config = Run("baseline", Shape(1, 1), 0).config(settings)
    (folder / "run.json").write_text(config.model_dump_json())
    arguments = [sys.executable, "-m", "hydrasurr.rl.study.one_run", "run.json", "run"]
    return start(arguments, folder, stdin=stdin)


def test_a_run_of_a_study_that_is_gone_does_not_begin(tmp_path: Path) -> None:
    assert _start(tmp_path, subprocess.DEVNULL).wait(100) == -signal.SIGTERM
    assert not (tmp_path / "run").exists()


def test_two_studies_do_not_share_a_run(tmp_path: Path) -> None:
    """One waits for what another has started, as long as its patience lasts."""
    folder, run = StudyFolder(tmp_path / "study"), Run("baseline", Shape(1, 1), 0)
    study = StudyConfig.model_validate({"design": DESIGN, "patience_minutes": 0.02})
    folder.prepare(study)
    with (folder.runs / f"{run.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with Launch(run, study, folder) as launch, pytest.raises(HydrasurrError, match="in use by processes"):
            launch.start()


def test_a_run_ends_with_the_study_that_started_it(tmp_path: Path) -> None:
    folder, process = DesignFolder(tmp_path / "run"), _start(tmp_path, subprocess.PIPE)
    deadline = time.monotonic() + 200
    while not read_records(folder.metrics):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    _, errors = process.communicate(timeout=60)  # closes its standard input
    assert process.returncode == 0 and "stopped by signal SIGTERM" in errors
    assert folder.latest.exists() and not folder.results.exists()
