"""A design run that a study has started, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from hydrasurr.files import read_records
from hydrasurr.rl.running.folder import DesignFolder
from hydrasurr.rl.study.settings import StudyConfig
from hydrasurr.rl.study.variants import Run, Shape
from tests.runs import environment


def test_a_run_ends_with_the_study_that_started_it(tmp_path: Path) -> None:
    settings = StudyConfig.model_validate(
        {"design": {"name": "x", "learner": {"type": "impala"}, "frames": 10_000_000}}
    )
    config = Run("baseline", Shape(1, 1), 0).config(settings)
    (tmp_path / "run.json").write_text(config.model_dump_json())
    folder = DesignFolder(tmp_path / "run")
    arguments = [sys.executable, "-m", "hydrasurr.rl.study.one_run", "run.json", "run"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            arguments, cwd=tmp_path, env=environment(), stdin=subprocess.PIPE, stdout=log, stderr=log
        )
        deadline = time.monotonic() + 200
        while not read_records(folder.metrics):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        process.stdin.close()
        assert process.wait(60) == 0
    assert folder.latest.exists() and not folder.results.exists()
    assert "stopped by signal SIGTERM" in (tmp_path / "log").read_text()
