"""What executors promise that replace workers who die, as tests: those of an executor derive a class from Promises."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import defaultdict
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.executors.executor import Executor
from hydrasurr.rl.executors.pool import Progress, TaskRun
from hydrasurr.rl.scheduling.config import LeaseConfig, SchedulingConfig
from hydrasurr.rl.scheduling.tasks import Task, Worker
from tests.rl.scheduling import jobs


def alive(pid: int) -> bool:
    """A zombie is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter: between opening and reading
        return False


def wait_for_end(*pids: int) -> None:
    """Fails if one of these processes is still there after a minute."""
    for _ in range(600):
        if not any(map(alive, pids)):
            return
        time.sleep(0.1)
    raise AssertionError(f"still there: {[pid for pid in pids if alive(pid)]}")


def kill_who_wrote(mark: Path, patience: float = 0.0) -> int:
    """Wait for a process to write its number there, kill it and return the number."""
    while not (mark.exists() and mark.read_text()):
        time.sleep(0.01)
    time.sleep(patience)
    pid = int(mark.read_text())
    os.kill(pid, signal.SIGKILL)
    return pid


class Promises:
    """Tests of an executor, which the fixture `executor` gives.

    Attributes
    ----------
    killed, exited, unborn : how workers are said to have ended that were killed, that ended with exit code 7, and that
        could not read their function
    """

    killed: ClassVar[str]
    exited: ClassVar[str]
    unborn: ClassVar[str]

    def test_all_is_done_once(self, executor: Executor) -> None:
        tasks = [Task(str(i), i) for i in range(50)]
        seen: list[Progress] = []
        with TaskRun(jobs.square, tasks, workers=2, progress=seen.append, executor=executor, ahead=1) as run:
            results = list(run)
        assert sorted(int(result.task.id) for result in results) == list(range(50))
        assert all(result.value == result.task.payload**2 and result.error is None for result in results)
        assert len(seen) == 50
        assert seen[-1] == Progress(total=50, done=50, failed=0, running=0)

    def test_loads_are_those_of_the_tasks(self, executor: Executor) -> None:
        tasks = [Task(str(i), 0.02 * (i % 5), hint=1 + i % 5) for i in range(30)]
        load: dict[int, float] = defaultdict(float)
        with TaskRun(jobs.sleep, tasks, workers=3, executor=executor) as run:
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

    def test_large_arrays(self, executor: Executor) -> None:
        tasks = [Task(str(i), np.full(300_000, float(i))) for i in range(5)]
        with TaskRun(jobs.array_sum, tasks, executor=executor) as run:
            assert sorted(result.value.item() for result in run) == [3e5 * i for i in range(5)]

    def test_workers_know_themselves(self, executor: Executor) -> None:
        workers = [Worker("cpu"), Worker("other:1", speed=2.0)]
        with TaskRun(jobs.device, [Task(str(i)) for i in range(20)], workers=workers, executor=executor) as run:
            for result in run:
                assert result.value == (result.worker, workers[result.worker].device)

    def test_errors_are_results(self, executor: Executor) -> None:
        payloads = ["fail reason", "unsendable", lambda: None, jobs.Unreadable(), "fine"]
        with TaskRun(jobs.act, [Task(str(i), payload) for i, payload in enumerate(payloads)], executor=executor) as run:
            results = {int(result.task.id): result for result in run}
        assert results[0].error == "ValueError: reason"
        assert results[1].error.startswith("its result cannot be sent:")
        assert results[2].error.startswith("its payload cannot be sent:")
        assert results[3].error.startswith("its payload cannot be read by a worker: ValueError: invalid literal")
        assert (results[4].value, results[4].error) == ("fine", None)
        assert all(result.attempts == 1 for result in results.values())

    def test_tasks_may_be_added(self, executor: Executor) -> None:
        done = []
        with TaskRun(jobs.square, [Task("2", 2)], workers=1, executor=executor) as run:
            for result in run:
                done.append(result.value)
                if result.value < 1000:
                    assert run.add([Task(str(result.value), result.value), Task("2", 2)]) == 1
            assert run.add([Task("5", 5)]) == 1
            done += [result.value for result in run]
        assert done == [4, 16, 256, 65536, 25]

    def test_a_killed_worker_is_replaced_and_its_task_done_by_another(self, executor: Executor, tmp_path: Path) -> None:
        mark = tmp_path / "pid"
        names = [f"hang-once {mark}", *(f"fine {i}" for i in range(10))]
        results = {}
        with TaskRun(jobs.act, [Task(name, name) for name in names], workers=2, executor=executor) as run:
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

    def test_a_worker_is_killed_while_it_sends(self, executor: Executor, tmp_path: Path) -> None:
        """Half a message may be on its way, as nobody reads while the first result is looked at."""
        names = [f"large {tmp_path / 'pid'}", "fine"]
        results = {}
        with TaskRun(jobs.act, [Task(name, name) for name in names], workers=2, executor=executor) as run:
            run.wait_ready()
            for result in run:
                if not results and result.task.id == "fine":
                    kill_who_wrote(tmp_path / "pid", patience=0.8)
                results[result.task.id] = result
        assert sorted(results) == sorted(names)
        assert len(results[names[0]].value) == 5_000_000

    def test_dying_tasks(self, executor: Executor, tmp_path: Path) -> None:
        """One kills its worker once; two do so always."""
        names = [f"die-once {tmp_path / 'mark'}", "die", "exit", *(f"fine {i}" for i in range(10))]
        tasks = [Task(name, name) for name in names]
        config = SchedulingConfig(lease=LeaseConfig(attempts=2))
        with TaskRun(jobs.act, tasks, config, 2, executor=executor) as run:
            results = {result.task.id: result for result in run}
        assert len(results) == len(tasks)
        assert results["die"].error == f"the worker's process {self.killed} (attempt 2 of 2)"
        assert results["exit"].error == f"the worker's process {self.exited} (attempt 2 of 2)"
        for name in set(names) - {"die", "exit"}:
            assert results[name].value == name
        assert results[names[0]].attempts == 2

    def test_a_hanging_worker_loses_its_task(self, executor: Executor, tmp_path: Path) -> None:
        names = [f"hang-once {tmp_path / 'mark'}", "fine"]
        config = SchedulingConfig(lease=LeaseConfig(seconds=4.0, attempts=5))
        with TaskRun(jobs.act, [Task(name, name) for name in names], config, 1, executor=executor) as run:
            results = {result.task.id: result for result in run}
        assert [results[name].value for name in names] == names
        assert results[names[0]].attempts >= 2

    def test_a_stopped_run_goes_on(self, executor: Executor) -> None:
        tasks = [Task(str(i), i) for i in range(40)]
        with TaskRun(jobs.square, tasks, workers=2, executor=executor) as run:
            before = {}
            for result in run:
                before[result.task.id] = result.value
                if len(before) == 15:
                    break
            state = json.loads(json.dumps(run.state_dict()))
        assert set(state["ledger"]["done"]) == set(before)
        with TaskRun(jobs.square, tasks, workers=2, state=state, executor=executor) as run:
            after = {result.task.id: result.value for result in run}
            finished = run.state_dict()
        assert len(after) == 25
        assert before | after == {str(i): i * i for i in range(40)}
        with TaskRun(jobs.square, tasks, state=finished, executor=executor) as run:
            assert list(run) == []

    def test_what_cannot_start(self, executor: Executor) -> None:
        with (
            pytest.raises(HydrasurrError, match="cannot be sent to another process"),
            TaskRun(lambda payload: payload, [Task("a")], executor=executor),
        ):
            pass
        with (
            pytest.raises(HydrasurrError, match=f"end before they have started, {self.unborn}"),
            TaskRun(jobs.Unreadable(), [Task("a")], workers=1, executor=executor) as run,
        ):
            list(run)

    def test_workers_end_with_their_run(self, executor: Executor) -> None:
        """Also those that are at work, or have work waiting."""
        with TaskRun(jobs.sleep, [Task(str(i), 0.01) for i in range(8)], workers=2, executor=executor) as run:
            pids = {result.value for result in run}
        wait_for_end(*pids)
        tasks = [Task("first", 0.01), *(Task(str(i), 600.0) for i in range(4))]
        with TaskRun(jobs.sleep, tasks, workers=2, executor=executor, ahead=1) as run:
            pid = next(iter(run)).value
        wait_for_end(pid)
