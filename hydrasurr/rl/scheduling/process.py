"""A worker's process, as whoever started it sees it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from typing import Any

from hydrasurr.rl.scheduling.tasks import Worker
from hydrasurr.rl.scheduling.worker import END, serve


class Process:
    """A new process that calls `function` with what it is sent, and says what came of it.

    Attributes
    ----------
    number : of the worker
    ready : it has started; set by whoever hears it say so
    dead : it has ended, or nothing can be heard from it any more; known after `messages`
    """

    def __init__(self, number: int, worker: Worker, function: Callable[[Any], Any]):
        spawn = get_context("spawn")  # a fork would inherit threads' locks and CUDA
        self.number, self.ready, self.dead = number, False, False
        self._connection, theirs = spawn.Pipe()
        self._process = spawn.Process(target=serve, args=(theirs, number, worker, function), daemon=True)
        try:
            self._process.start()
        except BaseException:
            self._connection.close()
            raise
        finally:
            theirs.close()  # else its end of the pipe would stay open when it dies

    def sources(self) -> tuple[Any, ...]:
        """What to wait for: a message or its end."""
        return self._connection, self._process.sentinel

    def send(self, message: Any) -> None:
        """Raises OSError if it is dead, and whatever keeps a message from being sent."""
        self._connection.send(message)

    def messages(self) -> Iterator[Any]:
        """Those that have come in; also the last ones of a process that is dead by now."""
        alive = self._process.is_alive()
        try:
            while self._connection.poll():
                yield self._connection.recv()
        except (EOFError, OSError):
            alive = False
        self.dead = not alive

    def ask_to_end(self) -> None:
        """It ends as soon as it has nothing to do."""
        try:
            self._connection.send(END)
        except OSError:
            self.dead = True

    def end(self, patience: float = 0.0) -> str:
        """Make sure that it has ended, by force after `patience` seconds; says how it ended."""
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
