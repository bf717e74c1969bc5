"""The service in a process of its own: real clients in real processes, and what happens when any of them dies."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.rl.rewards.client import RewardClient, ServerGone
from hydrasurr.rl.rewards.objective import ObjectiveConfig
from hydrasurr.rl.rewards.server import Request, RewardServer, sendable, serve
from hydrasurr.rl.rewards.service import BudgetSpent, RewardService
from tests.rl.rewards.clients import ask_at_length, ask_for_ever, evaluate_walks, spend
from tests.runs import environment

SPAWN = multiprocessing.get_context("spawn")
LOGP = ObjectiveConfig.model_validate({"terms": [{"property": {"type": "logp"}}]})
CHAINS = ["C" * length for length in range(1, 61)]
QED_TAKES_LONG = [f"{'C' * (k % 20)}c1ccc({'N' * (k // 20)}C)cc1" for k in range(400)]


@pytest.fixture(scope="module")
def server() -> Iterator[RewardServer]:
    """Of QED and without a budget, for tests that leave it as it is."""
    with RewardServer(ObjectiveConfig()) as server:
        yield server


@contextmanager
def process(work: Callable, client: RewardClient, *arguments: object) -> Iterator[tuple[int, Connection]]:
    """Another process and a pipe to it, after its first message."""
    here, there = SPAWN.Pipe()
    worker = SPAWN.Process(target=work, args=(client, there, *arguments), daemon=True)
    worker.start()
    there.close()
    try:
        assert here.recv() == "going"
        yield worker.pid, here
    finally:
        worker.kill()
        worker.join()


def test_three_processes_get_what_one_would(ensemble: Path) -> None:
    gap = {"type": "surrogate", "model": ensemble, "target": "gap"}
    config = ObjectiveConfig.model_validate({"terms": [{"property": gap}, {"property": {"type": "qed"}}]})
    walks = [[0, 1, 2, 3], [2, 3, 4, 5], [5, 0, 6, 1]]
    alone = RewardService(config)
    expected = [evaluate_walks(alone, seeds) for seeds in walks]
    with RewardServer(config) as server, ProcessPoolExecutor(3, SPAWN) as pool:
        found = list(pool.map(evaluate_walks, [server.client] * 3, walks))
        history, summary, columns = server.client.history(), server.client.summary(), server.client.columns
    for told, wanted in zip(found, expected, strict=True):
        assert list(told) == list(wanted)
        np.testing.assert_allclose(list(told.values()), list(wanted.values()), rtol=1e-6)
    ordered = history.find(alone.history().smiles)
    assert len(history) == len(ordered)
    np.testing.assert_allclose(ordered.worth.properties, alone.history().worth.properties, rtol=1e-5)
    assert columns == alone.columns
    asked, calls = alone.statistics.asked, alone.statistics.calls
    assert (summary["asked"], summary["calls"], summary["evaluated"]) == (asked, calls, len(history))
    assert summary["hit_rate"] == alone.statistics.hit_rate > 0
    assert 0 < summary["batches"] <= calls and 0 <= summary["queueing_ms_median"] < summary["latency_ms_median"]


def test_three_processes_share_one_budget() -> None:
    asked = [CHAINS[:24], CHAINS[20:44], CHAINS[40:]]
    with RewardServer(LOGP, budget=31) as server, ProcessPoolExecutor(3, SPAWN) as pool:
        answered = list(pool.map(spend, [server.client] * 3, asked))
        history = server.client.history()
        with pytest.raises(BudgetSpent, match="all 31 evaluations of the budget are spent"):
            server.client.ask(["CCN"])
        known = server.client.ask(history.smiles)
    assert len(history) == 31 and set().union(*answered) <= set(history.smiles)
    assert any(len(got) < len(wanted) for got, wanted in zip(answered, asked, strict=True))
    np.testing.assert_array_equal(known, RewardService(LOGP).ask(history.smiles))


def test_a_history_is_gone_on_from() -> None:
    first = RewardService(LOGP)
    first.ask(CHAINS[:5])
    with RewardServer(LOGP, budget=7, history=first.history()) as server:
        server.client.ask(CHAINS[3:7])
        with pytest.raises(BudgetSpent):
            server.client.ask(CHAINS[7:8])
        assert server.client.history().smiles == tuple(CHAINS[:7])
        assert server.client.summary()["evaluated"] == 2


def test_what_has_arrived_is_evaluated_together() -> None:
    service, inbox = RewardService(LOGP, budget=5), queue.SimpleQueue()
    requests = [["C", "CC"], ["CC", "CCC", "C"], [], ["CCCC", "CCCCC", "CCCCCC"], ["C"]]
    pipes = [multiprocessing.Pipe() for _ in range(len(requests) + 1)]
    for (_, there), smiles in zip(pipes, [*requests, "summary"], strict=True):
        inbox.put(Request(there, smiles, time.perf_counter() - 100))
    pipes[4][0].close()  # a client that has died
    inbox.put(None)
    serve(service, inbox)
    other = RewardService(LOGP)
    for place in (0, 1, 2):
        assert pipes[place][0].recv().tolist() == other.ask(requests[place]).tolist()
    assert isinstance(pipes[3][0].recv(), BudgetSpent)
    told = pipes[5][0].recv()
    assert (told["batches"], told["batch_size_median"], told["calls"], told["asked"]) == (1, 5, 5, 9)
    assert told["latency_ms_median"] > told["queueing_ms_median"] >= 100_000
    assert service.history().smiles == tuple(CHAINS[:5])


def test_clients_can_be_sent_and_shared(server: RewardServer) -> None:
    client = pickle.loads(pickle.dumps(server.client))
    asked = [QED_TAKES_LONG[k : k + 3] for k in range(0, 60, 2)]
    expected = RewardService(ObjectiveConfig())
    with ThreadPoolExecutor(8) as pool:
        for smiles, values in zip(asked, pool.map(client.ask, asked), strict=True):
            assert values.tolist() == expected.ask(smiles).tolist()
    told = client.statistics.summary()
    assert (told["calls"], told["asked"]) == (30, 90) and told["latency_ms_median"] > 0
    client.close()
    assert client.ask(["C"]).tolist() == expected.ask(["C"]).tolist()


def test_an_interrupted_question_is_not_answered_later(server: RewardServer) -> None:
    client = pickle.loads(pickle.dumps(server.client))
    long = [f"{smiles}O" for smiles in QED_TAKES_LONG]
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            client.ask(long)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert client.ask(["CCO"]).tolist() == RewardService(ObjectiveConfig()).ask(["CCO"]).tolist()


def test_ctrl_c_is_for_the_parent_to_decide_on(server: RewardServer) -> None:
    """It reaches the whole group."""
    os.kill(server.client.process, signal.SIGINT)
    assert server.client.ask(["CCO"]).shape == (1,)


def test_errors_arrive_as_what_they_are(server: RewardServer) -> None:
    client = server.client
    with pytest.raises(TypeError, match="unhashable") as caught:
        client.ask([["C"]])
    [note] = caught.value.__notes__
    assert "reward service" in note and "Traceback" in note
    with pytest.raises(HydrasurrError, match="knows nothing of 'weather'"):
        client._request("weather")
    assert client.ask(["CCO"]).shape == (1,)


def test_errors_that_cannot_be_sent_are_told() -> None:
    """Such as those that RDKit defines."""
    with pytest.raises(Exception, match="Python argument types") as caught:
        Chem.MolToSmiles(7)
    with pytest.raises(Exception, match="Can't pickle"):
        pickle.dumps(caught.value)
    error = sendable(caught.value)
    assert type(error) is HydrasurrError and "in the reward service: ArgumentError: Python arg" in str(error)


def test_a_service_that_cannot_start_says_why(single: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    term = {"property": {"type": "surrogate", "model": single, "target": "gab"}}
    with pytest.raises(ConfigError, match="predicts no 'gab'; did you mean 'gap'"):
        RewardServer(ObjectiveConfig.model_validate({"terms": [term]}))
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with pytest.raises(HydrasurrError, match="cannot listen at '.*': .*; let TMPDIR name a folder"):
        RewardServer(LOGP)
    assert not list(deep.iterdir())


def test_the_death_of_clients_disturbs_nobody(server: RewardServer) -> None:
    """One is killed between its questions, one while it waits for an answer."""
    with process(ask_for_ever, server.client) as (pid, _):
        os.kill(pid, signal.SIGKILL)
    long = [f"{smiles}N" for smiles in QED_TAKES_LONG]
    with process(ask_at_length, server.client, long) as (pid, _):
        time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
    assert server.client.ask(["CCO"]).tolist() == RewardService(ObjectiveConfig()).ask(["CCO"]).tolist()


def test_the_death_of_the_server_is_told_at_once() -> None:
    """To a client in this process that waits, to one in another process, to one that was never connected."""
    with RewardServer(LOGP) as server, process(ask_for_ever, server.client) as (_, pipe):
        fresh, waiting = (pickle.loads(pickle.dumps(server.client)) for _ in range(2))
        waiting.ask(["C"])
        os.kill(server.client.process, signal.SIGSTOP)  # so that it cannot answer before
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(waiting.ask, ["CC"])
            time.sleep(0.05)
            os.kill(server.client.process, signal.SIGKILL)
            with pytest.raises(ServerGone, match=rf"reward service \(process {server.client.process}\) is gone"):
                answer.result(timeout=60)
        assert pipe.poll(60)
        name, message = pipe.recv()
        assert name == "ServerGone" and "is gone" in message
        for client in (fresh, waiting):
            with pytest.raises(ServerGone, match="is gone"):
                client.ask(["C"])


def test_a_closed_server_is_gone() -> None:
    with RewardServer(LOGP) as server:
        client = server.client
        client.ask(["C"])
    for ask in (client.history, client.summary, lambda: client.columns, lambda: client.ask(["C"])):
        with pytest.raises(ServerGone):
            ask()
    assert not Path(client.address).parent.exists()
    server.close()


ORPHAN = """
import os, signal
from hydrasurr.rl.rewards.objective import ObjectiveConfig
from hydrasurr.rl.rewards.server import RewardServer
if __name__ == "__main__":
    server = RewardServer(ObjectiveConfig())
    print(server.client.ask(["CCO"]).shape, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """It holds the pipe that its output goes to, which closes when it ends."""
    script = tmp_path / "orphan.py"
    script.write_text(ORPHAN)
    ended = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120, cwd=tmp_path, env=environment()
    )
    assert ended.returncode == -signal.SIGKILL
    assert (ended.stdout, ended.stderr) == ("(1,)\n", "")
