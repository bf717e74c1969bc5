"""Real processes: results, errors, kills, hangs, and going on after a stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.scheduling.config import LeaseConfig, SchedulingConfig
from hydrasurr.rl.executors.pool import Progress, TaskRun, run_tasks
from hydrasurr.rl.scheduling.tasks import Task, Worker
from tests.rl.scheduling import jobs
from tests.rl.scheduling.names import NAMES

ROOT = Path(__file__).resolve().parents[3]


def alive(pid: int) -> bool:
    """A zombie is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def kill_who_wrote(mark: Path, patience: float = 0.0) -> int:
    """Wait for a process to write its number there, kill it and return the number."""
    while not (mark.exists() and mark.read_text()):
        time.sleep(0.01)
    time.sleep(patience)
    pid = int(mark.read_text())
    os.kill(pid, signal.SIGKILL)
    return pid


@pytest.mark.parametrize("name", NAMES)
def test_all_is_done_once(name: str) -> None:
    tasks = [Task(str(i), i) for i in range(50)]
    seen: list[Progress] = []
    results = list(run_tasks(jobs.square, tasks, SchedulingConfig(scheduler=name), 2, progress=seen.append))
    assert sorted(int(result.task.id) for result in results) == list(range(50))
    assert all(result.value == result.task.payload**2 and result.error is None for result in results)
    assert len(seen) == 50
    assert seen[-1] == Progress(total=50, done=50, failed=0, running=0)


def test_loads_are_those_of_the_tasks() -> None:
    tasks = [Task(str(i), 0.02 * (i % 5), hint=1 + i % 5) for i in range(30)]
    load: dict[int, float] = defaultdict(float)
    with TaskRun(jobs.sleep, tasks, workers=3) as run:
        run.wait_ready()
        for result in run:
            load[result.worker] += result.seconds
            assert result.seconds >= result.task.payload
        report = run.report()
    assert report.load == pytest.approx([load[worker] for worker in range(3)])
    assert report.vain == (0, 0, 0)
    assert report.gamma == pytest.approx(max(load.values()) / np.mean(list(load.values())))
    assert report.efficiency == pytest.approx(sum(load.values()) / 3 / report.seconds)
    assert report.summary()["workers"] == 3


def test_large_arrays_and_workers_that_know_themselves() -> None:
    tasks = [Task(str(i), np.full(300_000, float(i))) for i in range(5)]
    assert sorted(result.value.item() for result in run_tasks(jobs.array_sum, tasks)) == [3e5 * i for i in range(5)]
    workers = [Worker("cpu"), Worker("cuda:1", speed=2.0)]
    for result in run_tasks(jobs.device, [Task(str(i)) for i in range(20)], workers=workers):
        assert result.value == (result.worker, workers[result.worker].device)


def test_errors_are_results() -> None:
    payloads = ["fail reason", "unsendable", lambda: None, jobs.Unreadable(), "fine"]
    tasks = [Task(str(i), payload) for i, payload in enumerate(payloads)]
    results = {int(result.task.id): result for result in run_tasks(jobs.act, tasks)}
    assert results[0].error == "ValueError: reason"
    assert results[1].error.startswith("its result cannot be sent:")
    assert results[2].error.startswith("its payload cannot be sent:")
    assert results[3].error.startswith("its payload cannot be read by a worker: ValueError: invalid literal")
    assert (results[4].value, results[4].error) == ("fine", None)
    assert all(result.attempts == 1 for result in results.values())


def test_tasks_may_be_added() -> None:
    done = []
    with TaskRun(jobs.square, [Task("2", 2)], workers=1) as run:
        for result in run:
            done.append(result.value)
            if result.value < 1000:
                assert run.add([Task(str(result.value), result.value), Task("2", 2)]) == 1
        assert run.add([Task("5", 5)]) == 1
        done += [result.value for result in run]
    assert done == [4, 16, 256, 65536, 25]


def test_a_killed_worker_is_replaced_and_its_task_done_by_another(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    names = [f"hang-once {mark}", *(f"fine {i}" for i in range(10))]
    results = {}
    with TaskRun(jobs.act, [Task(name, name) for name in names], workers=2) as run:
        for result in run:
            if not results:
                pid = kill_who_wrote(mark)
            results[result.task.id] = result
        report = run.report()
    assert sorted(results) == sorted(names)
    assert all(result.error is None for result in results.values())
    assert [results[name].attempts for name in names] == [2] + [1] * 10
    assert sum(seconds > 0 for seconds in report.vain) == 1
    assert not alive(pid)


def test_a_worker_is_killed_while_it_sends(tmp_path: Path) -> None:
    """Half a message is in the pipe, as nobody reads while the first result is looked at."""
    names = [f"large {tmp_path / 'pid'}", "fine"]
    results = {}
    with TaskRun(jobs.act, [Task(name, name) for name in names], workers=2) as run:
        run.wait_ready()
        for result in run:
            if not results and result.task.id == "fine":
                kill_who_wrote(tmp_path / "pid", patience=0.8)
            results[result.task.id] = result
    assert sorted(results) == sorted(names)
    assert len(results[names[0]].value) == 5_000_000


def test_dying_tasks(tmp_path: Path) -> None:
    """One kills its worker once; two do so always."""
    names = [f"die-once {tmp_path / 'mark'}", "die", "exit", *(f"fine {i}" for i in range(10))]
    tasks = [Task(name, name) for name in names]
    config = SchedulingConfig(lease=LeaseConfig(attempts=2))
    results = {result.task.id: result for result in run_tasks(jobs.act, tasks, config, 2)}
    assert len(results) == len(tasks)
    assert results["die"].error == "the worker's process was ended by SIGKILL (attempt 2 of 2)"
    assert results["exit"].error == "the worker's process ended with exit code 7 (attempt 2 of 2)"
    for name in set(names) - {"die", "exit"}:
        assert results[name].value == name
    assert results[names[0]].attempts == 2


def test_a_hanging_worker_loses_its_task(tmp_path: Path) -> None:
    names = [f"hang-once {tmp_path / 'mark'}", "fine"]
    config = SchedulingConfig(lease=LeaseConfig(seconds=4.0, attempts=5))
    results = {r.task.id: r for r in run_tasks(jobs.act, [Task(name, name) for name in names], config, 1)}
    assert [results[name].value for name in names] == names
    assert results[names[0]].attempts >= 2


def test_a_stopped_run_goes_on() -> None:
    tasks = [Task(str(i), i) for i in range(40)]
    with TaskRun(jobs.square, tasks, workers=2) as run:
        before = {}
        for result in run:
            before[result.task.id] = result.value
            if len(before) == 15:
                break
        state = json.loads(json.dumps(run.state_dict()))
    assert set(state["ledger"]["done"]) == set(before)
    with TaskRun(jobs.square, tasks, workers=2, state=state) as run:
        after = {result.task.id: result.value for result in run}
        finished = run.state_dict()
    assert len(after) == 25
    assert before | after == {str(i): i * i for i in range(40)}
    assert list(run_tasks(jobs.square, tasks, state=finished)) == []


def test_what_cannot_start() -> None:
    with pytest.raises(HydrasurrError, match="cannot be sent to another process"):
        list(run_tasks(lambda payload: payload, [Task("a")]))
    with pytest.raises(HydrasurrError, match="end before they have started, ended with exit code 1"):
        list(run_tasks(jobs.Unreadable(), [Task("a")], workers=1))
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
    killed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    pids = [int(line) for line in killed.stdout.split()]
    assert len(pids) == 2
    for _ in range(600):
        if not any(alive(pid) for pid in pids):
            break
        time.sleep(0.1)
    assert not any(alive(pid) for pid in pids)
