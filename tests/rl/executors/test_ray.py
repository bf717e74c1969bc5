"""Real Ray: the promises of executors, whole runs, lost machines."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.executors.ray import RayExecutor
from hydrasurr.rl.running import rewards
from tests.rl.executors.promises import Promises, wait_for_end

pytest.importorskip("ray", reason="the extra 'ray' is not installed; .ci/run runs this file in another environment")

from tests.rl.running.designs import assert_same, design

ROOT = Path(__file__).resolve().parents[3]
DIED = "died (Worker unexpectedly exits with a connection error code 2)"


class TestActors(Promises):
    killed = exited = DIED
    unborn = r"could not begin \(ValueError: invalid literal for int\(\) with base 10: 'no number'\)"

    @pytest.fixture
    def executor(self) -> RayExecutor:
        """The first one starts Ray."""
        return RayExecutor()


def test_a_design_run_whose_actor_is_killed(tmp_path: Path) -> None:
    """It is what processes of this machine would have done undisturbed."""
    local = design(tmp_path / "local")
    ray = design(tmp_path / "ray", running={"executor": "ray", "disturbance": {"kill": {"0": 2}}})
    assert [mark.name for mark in ray.marks.iterdir()] == ["killed-0"]
    assert_same(local, ray)


def test_an_evaluator_beside_the_actors(tmp_path: Path) -> None:
    folder = design(tmp_path / "run", running={"executor": "ray", "evaluator": True}, evaluation={"every": 2})
    assert len(folder.evaluations.read_text().splitlines()) == 2


def test_actors_on_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here only the learner takes itself for one. They share a service, and what it evaluates comes to the learner."""
    local = design(tmp_path / "local")
    monkeypatch.setattr(rewards, "node_name", lambda: "elsewhere")
    ray = design(tmp_path / "ray", running={"executor": "ray", "disturbance": {"kill": {"0": 2}}})
    assert_same(local, ray)
    one, other = (sorted(folder.molecules.read_text().splitlines()) for folder in (local, ray))
    assert one == other


def script(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_all_of_ray_ends_with_the_one_who_started_it() -> None:
    killed = script("""
import os, signal
from hydrasurr.rl.executors.pool import TaskRun
from hydrasurr.rl.executors.ray import RayExecutor
from hydrasurr.rl.scheduling.tasks import Task
from tests.rl.scheduling import jobs
with TaskRun(jobs.sleep, [Task(str(i), 0.1) for i in range(1000)], workers=1, executor=RayExecutor()) as run:
    print(next(iter(run)).value, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
""")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    wait_for_end(int(killed.stdout))


def test_a_cluster_that_loses_a_machine() -> None:
    """Workers are spread over its machines; those of a lost one start again where there is room."""
    told = script("""
import os, ray, time
from ray.cluster_utils import Cluster
from hydrasurr.rl.executors.pool import TaskRun
from hydrasurr.rl.executors.ray import RayExecutor
from hydrasurr.rl.scheduling.tasks import Task
from tests.rl.scheduling import jobs
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
other = cluster.add_node(num_cpus=2)
os.environ["RAY_ADDRESS"] = cluster.address
executor = RayExecutor()
with TaskRun(jobs.sleep, [Task(str(i), 0.1) for i in range(30)], workers=2, executor=executor) as run:
    run.wait_ready()
    done = []
    for result in run:
        done.append(result)
        pids = {r.value for r in done}
        if len(done) == 6:
            while (free := ray.available_resources().get("CPU")) != 2.0:  # known to Ray some time later
                time.sleep(0.1)
            print(free, len({r.worker for r in done}))
            cluster.remove_node(other)
        elif len(done) > 6 and len(pids) < 3:  # until the worker that is started anew has come
            run.add([Task(f"more {len(done)}", 0.1)])
print(all(r.error is None for r in done), max(r.attempts for r in done), len(pids))
ray.shutdown()
cluster.shutdown()
""")
    assert told.stdout.split("\n")[:2] == ["2.0 2", "True 2 3"], told.stdout + told.stderr


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(HydrasurrError, match=r"pip install 'hydrasurr\[ray\]'"):
        RayExecutor()
