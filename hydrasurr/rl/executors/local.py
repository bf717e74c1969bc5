"""Workers that are processes of this machine."""

from __future__ import annotations

import signal
from collections.abc import Callable, Collection, Iterator
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import Any

from hydrasurr.processes import start_process
from hydrasurr.rl.executors.worker import END, serve
from hydrasurr.rl.scheduling.tasks import Worker


class LocalExecutor:
    """Starts a process for each worker, and a new one in the place of one that has died."""

    shares_memory = True
    replaces = True

    def start(self, number: int, worker: Worker, function: Callable[[Any], Any]) -> Process:
        return Process(number, worker, function)

    def wait(self, links: Collection[Process], timeout: float | None) -> Collection[Process]:
        owners = {source: process for process in links for source in process.sources()}
        return {owners[source] for source in wait(list(owners), timeout)}

    def close(self) -> None:
        pass


class Process:
    """A new process that calls `function` with what it is sent; see Link."""

    def __init__(self, number: int, worker: Worker, function: Callable[[Any], Any]):
        spawn = get_context("spawn")  # a fork would inherit threads' locks and CUDA
        self.number, self.ready, self.dead = number, False, False
        self._connection, theirs = spawn.Pipe()
        self._process = spawn.Process(target=serve, args=(theirs, number, worker, function), daemon=True)
        try:
            start_process(self._process)
        except BaseException:
            self._connection.close()
            raise
        finally:
            theirs.close()  # else its end of the pipe would stay open when it dies

    @property
    def pid(self) -> int:
        return self._process.pid

    def sources(self) -> tuple[Any, ...]:
        """What to wait for: a message or its end."""
        return self._connection, self._process.sentinel

    def send(self, message: Any) -> None:
        self._connection.send(message)

    def messages(self) -> Iterator[Any]:
        alive = self._process.is_alive()
        try:
            while self._connection.poll():
                yield self._connection.recv()
        except (EOFError, OSError):
            alive = False
        self.dead = not alive

    def ask_to_end(self) -> None:
        try:
            self._connection.send(END)
        except OSError:
            self.dead = True

    def end(self, patience: float = 0.0) -> str:
        self._process.join(patience)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._connection.close()
        self.dead = True
        code = self._process.exitcode
        if code is not None and code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"
