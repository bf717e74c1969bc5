"""What a worker does: tasks, one by one, until it is told to end. Imports little, so that it starts soon."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NamedTuple, Protocol

from hydrasurr.processes import leave_group
from hydrasurr.rl.scheduling.tasks import Worker

READY = "ready"
"""A worker's first message; each later one is an Answer."""
END = None
"""What ends a worker; any other message is the payload of a task in a tuple of one."""


class Channel(Protocol):
    """The worker's end of a link: a Connection of multiprocessing, or what behaves like one."""

    def send(self, message: Any) -> None:
        """Raises OSError if nobody is there any more."""

    def recv(self) -> Any:
        """Wait for the next message. Raises EOFError or OSError if there is none to come."""


class Answer(NamedTuple):
    """What came of a task: its value, or an error, and the seconds it took."""

    value: Any
    error: str | None
    seconds: float


class Self(NamedTuple):
    """This worker: its number, and what is said of it."""

    number: int
    worker: Worker


_self: Self | None = None


def this_worker() -> Self | None:
    """Which worker this process is, for functions that depend on the device; None if it is none."""
    return _self


def serve(channel: Channel, number: int, worker: Worker, function: Callable[[Any], Any]) -> None:
    """Do what comes through `channel`; ends with whoever is at its other end."""
    be(number, worker)
    leave_group()
    serve_until_end(channel, function)


def be(number: int, worker: Worker) -> None:
    """This process is that worker from now on."""
    global _self
    _self = Self(number, worker)


def serve_until_end(channel: Channel, function: Callable[[Any], Any]) -> None:
    """Answer task after task until END comes, or nobody is left to answer."""
    inbox: SimpleQueue[Any] = SimpleQueue()
    # Tasks that are sent ahead must not fill the pipe while one is done, or both sides would wait to send.
    threading.Thread(target=_receive, args=(channel, inbox), daemon=True).start()
    try:
        channel.send(READY)
        while (message := inbox.get()) is not END:
            _send(channel, message if isinstance(message, Answer) else answer(message, function))
    except OSError:
        return


def _receive(channel: Channel, inbox: SimpleQueue[Any]) -> None:
    message: Any = ()
    while message is not END:
        try:
            message = channel.recv()
        except (EOFError, OSError):
            message = END
        except Exception as error:
            message = unreadable(error)
        inbox.put(message)


def answer(message: tuple[Any], function: Callable[[Any], Any]) -> Answer:
    """Do one task."""
    start = time.perf_counter()
    try:
        value, problem = function(*message), None
    except Exception as error:
        value, problem = None, describe(error)
    return Answer(value, problem, time.perf_counter() - start)


def _send(channel: Channel, said: Answer) -> None:
    try:
        channel.send(said)
    except OSError:
        raise
    except Exception as error:  # sent are whole messages or nothing
        channel.send(unsendable(said, error))


def unreadable(error: Exception) -> Answer:
    """In place of that to a message that could not be unpickled."""
    return Answer(None, f"its payload cannot be read by a worker: {describe(error)}", 0.0)


def unsendable(said: Answer, error: Exception) -> Answer:
    """In place of one that cannot be pickled."""
    return Answer(None, f"its result cannot be sent: {describe(error)}", said.seconds)


def describe(error: BaseException) -> str:
    """In one line: the type of an error, and what it says."""
    return f"{type(error).__name__}: {error}".replace("\n", " ").rstrip(": ")
