"""One reward service for all processes of a node: one cache, one budget, and large batches.

The surrogate is several times faster with dozens of molecules at a time than with a few, and a molecule that one agent
has found need not be evaluated again for another. The service has a process of its own, so that agents wait for it
only when they ask::

    with RewardServer(objective, budget=10_000) as server:
        ...                             # start processes, each with `server.client` as objective
        best = server.client.history().top(10)

Requests wait in a queue while an evaluation runs; all that have arrived by its end become the next one.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import queue
import sys
import threading
import time
import traceback
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from hydrasurr.errors import HydrasurrError
from hydrasurr.processes import leave_group, start_process
from hydrasurr.rl.rewards.client import RewardClient
from hydrasurr.rl.rewards.history import History
from hydrasurr.rl.rewards.objective import ObjectiveConfig
from hydrasurr.rl.rewards.service import RewardService

BACKLOG = 1024
"""Clients that may connect in the same moment."""
PATIENCE = 10.0
"""Seconds for an evaluation to end when the server is closed."""


class AddressTaken(HydrasurrError):
    """Another server listens there."""


class RewardServer:
    """Starts a process with a RewardService; it ends with `close`, or with the process that started it.

    The process is spawned, so a script that uses this needs `if __name__ == "__main__":`.

    Parameters
    ----------
    config, budget, history : as for RewardService
    threads : of torch, in the service's process
    address, secret : of a socket, and what clients must know; None: in a folder of this user alone, which keeps others
        out

    Raises what RewardService raises, once for all clients, and AddressTaken.

    Attributes
    ----------
    client : for any process on this node that may open this user's files
    """

    def __init__(
        self,
        config: ObjectiveConfig,
        budget: int | None = None,
        history: History | None = None,
        threads: int = 1,
        address: str | None = None,
        secret: bytes | None = None,
    ):
        self._folder = TemporaryDirectory(prefix="hydrasurr-rewards-")
        address = address or str(Path(self._folder.name) / "rewards")
        spawn = multiprocessing.get_context("spawn")
        self._pipe, there = spawn.Pipe()
        self._process = spawn.Process(
            target=_run, args=(there, address, secret, config, budget, history, threads), name="rewards", daemon=True
        )
        try:
            start_process(self._process)
            there.close()  # so that the pipe closes when the process ends
            self._await_start()
        except BaseException:
            self.close()
            raise
        self.client = RewardClient(address, self._process.pid, secret)

    def _await_start(self) -> None:
        try:
            failure = self._pipe.recv()
        except EOFError:
            self._process.join()
            raise HydrasurrError(
                f"the process of the reward service ended while starting, with exit code {self._process.exitcode}"
            ) from None
        if failure is not None:
            raise failure

    def close(self) -> None:
        """End the process; a running evaluation is finished first."""
        self._pipe.close()
        if self._process.pid is not None:
            self._process.join(PATIENCE)
            self._process.kill()
            self._process.join()
        self._folder.cleanup()

    def __enter__(self) -> RewardServer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


# -- in the process of the service -----------------------------------------------------------------------


class Request(NamedTuple):
    """What a client wants: SMILES to evaluate, the name of what it wants to know, or molecules to adopt."""

    connection: Connection
    content: list[str] | str | History
    arrived: float


Inbox = queue.SimpleQueue  # of Request; None: end


def _run(
    pipe: Connection,
    address: str,
    secret: bytes | None,
    config: ObjectiveConfig,
    budget: int | None,
    history: History | None,
    threads: int,
) -> None:
    leave_group()
    try:
        service = RewardService(config, budget, history)
        if "torch" in sys.modules:  # a model needs it
            sys.modules["torch"].set_num_threads(threads)
        listener = _listen(address, secret)
    except Exception as error:
        pipe.send(sendable(error))
        return
    inbox: Inbox = queue.SimpleQueue()
    threading.Thread(target=_accept, args=(listener, inbox), daemon=True).start()
    threading.Thread(target=_await_end, args=(pipe, inbox), daemon=True).start()
    pipe.send(None)
    serve(service, inbox)


def _listen(address: str, secret: bytes | None) -> Listener:
    try:
        return Listener(address, "AF_UNIX", BACKLOG, secret)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressTaken(f"there is a reward service at '{address}' already") from error
        raise HydrasurrError(
            f"the reward service cannot listen at '{address}': {error}; let TMPDIR name a folder of this machine with "
            "a short name"
        ) from error


def _await_end(pipe: Connection, inbox: Inbox) -> None:
    """The parent closes its end of the pipe, or dies."""
    with suppress(EOFError, OSError):
        pipe.recv()
    inbox.put(None)


def _accept(listener: Listener, inbox: Inbox) -> None:
    try:
        while True:
            try:
                connection = listener.accept()
            except (AuthenticationError, EOFError, ConnectionError):  # a stranger
                continue
            threading.Thread(target=_receive, args=(connection, inbox), daemon=True).start()
    finally:
        inbox.put(None)  # rather no service than one that lets new clients wait for ever


def _receive(connection: Connection, inbox: Inbox) -> None:
    """A thread for each client, so that the time of arrival is known while an evaluation runs."""
    with suppress(EOFError, OSError):  # the client has ended
        while True:
            inbox.put(Request(connection, connection.recv(), time.perf_counter()))


def serve(service: RewardService, inbox: Inbox) -> None:
    """Answer until the end: all requests that have arrived at a time together."""
    going = True
    while going:
        arrived = [inbox.get()]
        with suppress(queue.Empty):
            while True:
                arrived.append(inbox.get_nowait())
        going = None not in arrived
        requests = [request for request in arrived if request is not None]
        _answer(service, [request for request in requests if isinstance(request.content, list)])
        for request in requests:
            if not isinstance(request.content, list):
                _send(request, _tell(service, request.content))


def _answer(service: RewardService, requests: list[Request]) -> None:
    begun = time.perf_counter()
    try:
        answers: list[Any] = list(service.answer([request.content for request in requests]))
    except Exception as error:
        answers = [sendable(error)] * len(requests)
    for request, answer in zip(requests, answers, strict=True):
        latency = time.perf_counter() - request.arrived
        service.statistics.note_call(len(request.content), latency, begun - request.arrived)
        _send(request, answer)


def _tell(service: RewardService, what: str | History) -> Any:
    if isinstance(what, History):
        return service.adopt(what)
    match what.split():
        case ["history"]:
            return service.history()
        case ["news"]:
            return service.news()
        case ["summary"]:
            return service.summary()
        case ["progress", top]:
            return service.progress(int(top))
        case ["columns"]:
            return service.columns
    return HydrasurrError(f"the reward service knows nothing of '{what}'")


def _send(request: Request, answer: Any) -> None:
    with suppress(OSError):  # the client has ended meanwhile
        request.connection.send(answer)


def sendable(error: Exception) -> Exception:
    """An exception that arrives as what it is, and tells where it was raised; a HydrasurrError if it cannot."""
    if not isinstance(error, HydrasurrError):
        trace = "".join(traceback.format_exception(error))
        error.add_note(f"In the process {os.getpid()} of the reward service:\n{trace}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return HydrasurrError(f"in the reward service: {type(error).__name__}: {error}")
    return error
