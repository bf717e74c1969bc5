"""What is scheduled, and onto whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of work that nothing else waits for.

    Attributes
    ----------
    id : no two tasks share it; a task that is given twice is done once
    payload : what the work needs to know; schedulers do not look at it
    features : numbers that the cost may depend on, as many for each task
    hint : a guess of the seconds it takes, above 0. Its scale does not matter: what tasks really took corrects it
    """

    id: str
    payload: Any = None
    features: tuple[float, ...] = ()
    hint: float = 1.0


@dataclass(frozen=True, slots=True)
class Worker:
    """Does one task at a time.

    Attributes
    ----------
    device : class of devices, such as "cpu"; what tasks cost is learnt for each class
    speed : relative to others of its class, as far as known
    """

    device: str = "cpu"
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class Assignment:
    """`task` is handed out to the worker of number `worker`.

    `own`: it comes from the worker's own list, for which it need not ask anyone if workers hold their lists.
    """

    worker: int
    task: Task
    own: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """A task is settled: done, or failed for good.

    Attributes
    ----------
    error : None, or why it failed
    worker : who had it last
    seconds : that the last attempt took
    attempts : with this one
    """

    task: Task
    error: str | None
    worker: int
    seconds: float
    attempts: int
