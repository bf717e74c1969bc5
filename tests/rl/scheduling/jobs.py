"""What the processes of the tests do."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

from hydrasurr.rl.executors.worker import this_worker


def square(number: int) -> int:
    return number * number


def array_sum(array: np.ndarray) -> np.ndarray:
    return array.sum(keepdims=True)


def sleep(seconds: float) -> int:
    """The process that slept."""
    time.sleep(seconds)
    return os.getpid()


def device(_: Any) -> tuple[int, str]:
    """Who does it."""
    myself = this_worker()
    return myself.number, myself.worker.device


def act(what: str) -> Any:
    """Do what its name says."""
    match what.split():
        case ["fail", reason]:
            raise ValueError(reason)
        case ["unsendable"]:
            return lambda: None
        case ["exit"]:
            os._exit(7)
        case ["die"]:
            os.kill(os.getpid(), signal.SIGKILL)
        case ["large", path]:
            Path(path).write_text(str(os.getpid()))
            time.sleep(0.3)
            return bytes(5_000_000)
        case [("die-once" | "hang-once") as how, path]:
            if not Path(path).exists():
                Path(path).write_text(str(os.getpid()))
                if how == "die-once":
                    os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(600)
    return what


class Unreadable:
    """Can be sent, but not read."""

    def __reduce__(self) -> Any:
        return int, ("no number",)

    def __call__(self, payload: Any) -> Any:
        return payload
