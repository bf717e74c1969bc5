"""What a worker's process does: tasks, one by one, until it is told to end. Imports little, so that it starts soon."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from hydrasurr.rl.scheduling.tasks import Worker

READY = "ready"
"""A worker's first message; each later one is an Answer."""
END = None
"""What ends a worker; any other message is the payload of a task in a tuple of one."""


class Answer(NamedTuple):
    """What came of a task: its value, or an error, and the seconds it took."""

    value: Any
    error: str | None
    seconds: float


class Self(NamedTuple):
    """This process: its number among the workers, and what is said of it."""

    number: int
    worker: Worker


_self: Self | None = None


def this_worker() -> Self | None:
    """Which worker this process is, for functions that depend on the device; None if it is none."""
    return _self


def serve(connection: Connection, number: int, worker: Worker, function: Callable[[Any], Any]) -> None:
    """Do what comes through `connection`; ends with whoever is at its other end."""
    global _self
    _self = Self(number, worker)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the one that started us ends us
    try:
        connection.send(READY)
        while (answer := _next(connection, function)) is not None:
            _send(connection, answer)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # nobody is left to report to


def _next(connection: Connection, function: Callable[[Any], Any]) -> Answer | None:
    try:
        message = connection.recv()
    except (EOFError, OSError):
        raise
    except Exception as error:
        return Answer(None, f"its payload cannot be read by a worker: {describe(error)}", 0.0)
    if message is END:
        return None
    start = time.perf_counter()
    try:
        value, problem = function(*message), None
    except Exception as error:
        value, problem = None, describe(error)
    return Answer(value, problem, time.perf_counter() - start)


def _send(connection: Connection, answer: Answer) -> None:
    try:
        connection.send(answer)
    except OSError:
        raise
    except Exception as error:  # sent are whole messages or nothing
        connection.send(Answer(None, f"its result cannot be sent: {describe(error)}", answer.seconds))


def describe(error: BaseException) -> str:
    """In one line: the type of an error, and what it says."""
    return f"{type(error).__name__}: {error}".replace("\n", " ").rstrip(": ")
