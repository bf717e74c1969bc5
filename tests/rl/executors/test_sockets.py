"""Workers reached by sockets: ranks that belong to the run, and strangers."""

from __future__ import annotations

import multiprocessing
import pickle
import socket
from multiprocessing.connection import Client

import pytest
import torch.distributed as dist

from hydrasurr.rl.executors.pool import TaskRun
from hydrasurr.rl.executors.sockets import SocketExecutor, serve_owner
from hydrasurr.rl.scheduling.tasks import Task
from tests.rl.scheduling import jobs

NAME = "executor"


def _intrude_and_join(address: tuple[str, int], port: int) -> None:
    socket.create_connection(address).close()
    with pytest.raises(multiprocessing.AuthenticationError):
        Client(address, authkey=b"guessed")
    serve_owner(dist.TCPStore("127.0.0.1", port), NAME)


def test_strangers_are_turned_away() -> None:
    """One who hangs up and one without the key come before the rank that is waited for."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    executor = SocketExecutor(store, NAME, 1)
    address, _ = pickle.loads(store.get(NAME))
    spawn = multiprocessing.get_context("spawn")
    rank = spawn.Process(target=_intrude_and_join, args=(address, store.port))
    rank.start()
    try:
        with TaskRun(jobs.sleep, [Task("job", 0.0)], workers=1, executor=executor) as run:
            assert [result.error for result in run] == [None]
        executor.dismiss()
        rank.join(30)
        assert rank.exitcode == 0
    finally:
        rank.kill()
