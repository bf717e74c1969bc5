"""Real processes: results, errors, kills, hangs, and going on after a stop."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hydrasurr.rl.executors.local import LocalExecutor
from hydrasurr.rl.executors.pool import run_tasks
from hydrasurr.rl.scheduling.config import SchedulingConfig
from hydrasurr.rl.scheduling.tasks import Task
from tests.rl.executors.promises import Promises, wait_for_end
from tests.rl.scheduling import jobs
from tests.rl.scheduling.names import NAMES

ROOT = Path(__file__).resolve().parents[3]


class TestProcesses(Promises):
    killed = "was ended by SIGKILL"
    exited = "ended with exit code 7"
    unborn = "ended with exit code 1"

    @pytest.fixture
    def executor(self) -> LocalExecutor:
        return LocalExecutor()


@pytest.mark.parametrize("name", NAMES)
def test_all_is_done_once_by_any_scheduler(name: str) -> None:
    tasks = [Task(str(i), i) for i in range(50)]
    results = list(run_tasks(jobs.square, tasks, SchedulingConfig(scheduler=name), 2))
    assert sorted((int(result.task.id), result.value) for result in results) == [(i, i * i) for i in range(50)]


def test_nothing_to_do() -> None:
    assert list(run_tasks(jobs.square, [])) == []


def test_workers_end_with_the_one_who_started_them() -> None:
    script = """
import os, signal
from hydrasurr.rl.executors.pool import TaskRun
from hydrasurr.rl.scheduling.tasks import Task
from tests.rl.scheduling import jobs
with TaskRun(jobs.sleep, [Task(str(i), 0.1) for i in range(1000)], workers=2) as run:
    pids = set()
    for result in run:
        if result.value not in pids:
            pids.add(result.value)
            print(result.value, flush=True)
        if len(pids) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    pids = [int(line) for line in killed.stdout.split()]
    assert len(pids) == 2
    wait_for_end(*pids)
