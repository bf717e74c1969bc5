"""Rewards on machines where no learner runs."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from hydrasurr.rl.environment.smiles import from_smiles
from hydrasurr.rl.rewards.client import RewardClient, ServerGone
from hydrasurr.rl.rewards.server import RewardServer
from hydrasurr.rl.running.config import DesignConfig
from hydrasurr.rl.running.folder import DesignFolder
from hydrasurr.rl.running.history_state import history_from
from hydrasurr.rl.running.rewards import Meeting, NodeRewards
from tests.rl.running.designs import assert_same, design, raw, write
from tests.rl.running.test_processes import MPIEXEC, succeed

CONFIG = DesignConfig.model_validate(raw())
SPAWN = multiprocessing.get_context("spawn")


class Worker:
    """Asks for chains of carbon in a process of its own."""

    def __init__(self, rewards: NodeRewards):
        self._pool = ProcessPoolExecutor(1, SPAWN, initializer=_keep, initargs=(rewards,))

    def ask(self, *lengths: int) -> tuple[list[float], int]:
        return self._pool.submit(_ask, lengths).result()

    def news(self) -> list[str]:
        return self._pool.submit(_news).result()

    def kill(self) -> None:
        [process] = self._pool._processes.values()
        os.kill(process.pid, signal.SIGKILL)
        process.join()

    def close(self) -> None:
        self._pool.shutdown()


def _keep(rewards: NodeRewards) -> None:
    global _rewards
    _rewards = rewards


def _ask(lengths: tuple[int, ...]) -> tuple[list[float], int]:
    """What they are worth, and how many molecules are known then."""
    worth = _rewards(from_smiles(["C" * length for length in lengths], 10)).tolist()
    return worth, _rewards.client.progress(1)["evaluations"]


def _news() -> list[str]:
    return list(_rewards.news().smiles)


def wait_for_end(rewards: NodeRewards) -> None:
    client = RewardClient(rewards._address, secret=rewards._secret)
    with pytest.raises(ServerGone):
        while client.progress(1):
            client.close()
            time.sleep(0.05)


def test_workers_of_a_machine_without_a_service_share_one() -> None:
    rewards = NodeRewards(CONFIG, {}, {"another"}, Meeting.new())
    workers = [Worker(rewards) for _ in range(3)]
    try:
        answers = [worker.ask(k + 1, k + 2) for k, worker in enumerate(workers)]
        assert [known for _, known in answers] == [2, 3, 4]
        assert answers[0][0][1] == answers[1][0][0]
        assert workers[2].news() == ["C", "CC", "CCC", "CCCC"] and workers[0].news() == []
        workers[0].kill()
        wait_for_end(rewards)  # of the service that it has started
        assert workers[1].ask(2, 7) == ([answers[0][0][1], workers[2].ask(7)[0][0]], 2)
        assert workers[2].ask(8)[1] == 3 and workers[1].news() == ["CC", "CCCCCCC", "CCCCCCCC"]
    finally:
        for worker in workers[1:]:
            worker.close()


def test_a_service_of_the_run_that_is_gone() -> None:
    """It is not replaced: what it knew would be missing in the results."""
    from hydrasurr.loading.shared import node_name

    with RewardServer(CONFIG.objective) as server:
        rewards = NodeRewards(CONFIG, {node_name(): server.client}, {node_name()}, Meeting.new())
        rewards(from_smiles(["CC"], 10))
        assert rewards.news() is None
    with pytest.raises(ServerGone):
        rewards(from_smiles(["CCC"], 10))


def test_a_node_without_a_learner(tmp_path: Path) -> None:
    """One learner, three actors, of which two are elsewhere; stopped and resumed; it is as on one machine."""
    sections = {"learner": {"type": "ppo", "steps": 6, "epochs": 2, "minibatches": 2}, "frames": 6 * 8 * 2 * 30}
    one = design(tmp_path / "one", **sections)
    config = write(tmp_path / "run.json", **sections, checkpoint_minutes=0)
    nodes = ["-genv", "NODE_FROM", "2", sys.executable, "-m", "tests.rl.running.two_nodes"]
    train = [MPIEXEC, "-n", "4", *nodes, "design", "train", str(config), "--out", str(tmp_path / "two"), "--resume"]
    train += ["--set", "running.executor=mpi"]
    two = DesignFolder(tmp_path / "two")
    assert "stopped by time limit" in succeed([*train, "--time-limit", "0s"], tmp_path)
    succeed(train, tmp_path)
    assert_same(one, two)
    known = [history_from(folder.load_part(0, 1)["history"]) for folder in (one, two)]
    assert set(known[0].smiles) == set(known[1].smiles)
    assert sorted(one.molecules.read_text().splitlines()) == sorted(two.molecules.read_text().splitlines())


def test_a_budget_counts_all_nodes(tmp_path: Path) -> None:
    """A run ends when it is spent, wherever; what was on its way by then is more."""
    sections = {"learner": {"type": "impala", "steps": 6, "unrolls": 2}, "budget": 40, "frames": 10**6}
    config = write(tmp_path / "run.json", **sections, running={"executor": "mpi"})
    nodes = ["-genv", "NODE_FROM", "1", sys.executable, "-m", "tests.rl.running.two_nodes"]
    train = [MPIEXEC, "-n", "3", *nodes, "design", "train", str(config), "--out", str(tmp_path / "run")]
    succeed(train, tmp_path)
    folder = DesignFolder(tmp_path / "run")
    found = len(folder.molecules.read_text().splitlines()) - 1
    assert 40 <= found <= 40 + 2 * 2 * 6 * 8  # two rollouts of each actor
    assert folder.load_part(0, 1)["history"]["count"] >= 40
