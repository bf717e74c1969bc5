"""The book of tasks: which are open, who has them and until when, and which are settled."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(slots=True)
class Lease:
    """A worker has a task. `overdue`: its time is up, and the task has been given up."""

    task: str
    worker: int
    start: float
    overdue: bool = False


class Ledger:
    """Settles each task once, whoever had it and however often it was handed out.

    Parameters
    ----------
    workers : how many there are
    attempts : that a task may be lost in, with a dead worker or by being overdue, before it has failed

    Attributes
    ----------
    open : tasks that are not settled, and how often each was lost
    done : tasks with a result, in the order of their results
    failed : tasks without, and why
    leases : by worker; each has one task at most
    """

    def __init__(self, workers: int, attempts: int):
        self.attempts = attempts
        self.open: dict[str, int] = {}
        self.done: dict[str, None] = {}
        self.failed: dict[str, str] = {}
        self.leases: dict[int, Lease] = {}
        self._deadline = np.full(workers, np.inf)

    def __contains__(self, task: str) -> bool:
        return task in self.open or task in self.done or task in self.failed

    @property
    def deadline(self) -> float:
        """When the next lease ends; infinity if none does."""
        return float(self._deadline.min())

    def hand_out(self, task: str, worker: int, now: float, deadline: float) -> None:
        """A worker gets an open task."""
        if worker in self.leases:
            raise ValueError(f"worker {worker} has task '{self.leases[worker].task}' already")
        if task not in self.open:
            raise ValueError(f"task '{task}' is not open")
        self.leases[worker] = Lease(task, worker, now)
        self._deadline[worker] = deadline

    def extend(self, worker: int, deadline: float) -> None:
        """Another deadline, unless it has passed."""
        if not self.leases[worker].overdue:
            self._deadline[worker] = deadline

    def end(self, worker: int) -> Lease | None:
        """A worker has no task any longer; None if it had none."""
        self._deadline[worker] = np.inf
        return self.leases.pop(worker, None)

    def overdue(self, now: float) -> list[Lease]:
        """Leases that ended since the last call."""
        late = [self.leases[worker] for worker in np.flatnonzero(self._deadline <= now).tolist()]
        for lease in late:
            lease.overdue = True
            self._deadline[lease.worker] = np.inf
        return late

    def settle(self, task: str, error: str | None) -> bool:
        """A result is in, or an error; False if the task was settled before, so that this one does not count."""
        if self.open.pop(task, None) is None:
            return False
        if error is None:
            self.done[task] = None
        else:
            self.failed[task] = error
        return True

    def lose(self, task: str, reason: str) -> str | None:
        """An attempt came to nothing. None if the task may be tried again, else the error it has failed with.

        The task must be open.
        """
        self.open[task] += 1
        if self.open[task] < self.attempts:
            return None
        error = f"{reason} (attempt {self.open[task]} of {self.attempts})"
        self.settle(task, error)
        return error

    def state_dict(self, unseen: Collection[str] = ()) -> dict[str, Any]:
        """All but the leases, for JSON: who had a task when this was saved will not report to whoever loads it.

        `unseen`: tasks that are settled but that nobody has been told of; they are saved as open.
        """
        seen = set(self.done).union(self.failed).difference(unseen)
        return {
            "open": self.open | dict.fromkeys(unseen, 0),
            "done": [task for task in self.done if task in seen],
            "failed": {task: error for task, error in self.failed.items() if task in seen},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.open, self.failed = dict(state["open"]), dict(state["failed"])
        self.done = dict.fromkeys(state["done"])

    def begin(self, tasks: Iterable[str]) -> None:
        """Open new tasks; known ones stay what they are."""
        for task in tasks:
            if task not in self:
                self.open[task] = 0
