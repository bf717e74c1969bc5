"""Tasks done by processes of this machine, which may die."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.scheduling.config import SchedulingConfig
from hydrasurr.rl.scheduling.dispatch import Dispatcher
from hydrasurr.rl.scheduling.process import Process
from hydrasurr.rl.scheduling.report import LoadReport
from hydrasurr.rl.scheduling.tasks import Assignment, Outcome, Task, Worker
from hydrasurr.rl.scheduling.worker import Answer, describe

PATIENCE = 2.0
"""Seconds that a process gets to end by itself when it should."""
STILLBORN = 3
"""So many deaths of workers that did not even start end a run."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a task: a value, or `error` says why there is none. See Outcome."""

    task: Task
    value: Any
    error: str | None
    worker: int
    seconds: float
    attempts: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Numbers of tasks."""

    total: int
    done: int
    failed: int
    running: int


def run_tasks(
    function: Callable[[Any], Any],
    tasks: Sequence[Task],
    config: SchedulingConfig | None = None,
    workers: int | Sequence[Worker] = 2,
    state: dict[str, Any] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Iterator[Result]:
    """The results of `function(task.payload)` as they come, in any order, computed by processes; see TaskRun."""
    with TaskRun(function, tasks, config, workers, state, progress) as run:
        yield from run


class TaskRun:
    """Processes that work through tasks. A context manager, and an iterator of results as they come.

    An exception of `function` is the error of that task. A worker that dies, or has its task for longer than its lease,
    is replaced, and the task is tried again as often as the configuration says. The calling process hands out tasks
    while it waits for the next result.

    Parameters
    ----------
    function : called with the payload of a task. It is sent to each worker once, so it may be an object that keeps
        things from task to task; it must be importable there. `worker.this_worker()` tells it where it runs
    workers : how many processes, or what is known of each
    state : what `state_dict` gave: tasks with a result there are not done again. Give all tasks again with it
    progress : called before each result

    Raises HydrasurrError if workers cannot start.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        tasks: Sequence[Task],
        config: SchedulingConfig | None = None,
        workers: int | Sequence[Worker] = 2,
        state: dict[str, Any] | None = None,
        progress: Callable[[Progress], None] | None = None,
    ):
        workers = [Worker()] * workers if isinstance(workers, int) else list(workers)
        self._dispatcher = Dispatcher(tasks, workers, config or SchedulingConfig(), state, time.monotonic())
        self._function, self._workers, self._progress = function, workers, progress
        self._processes: list[Process] = []
        self._stillborn = 0
        self._outbox: deque[Result] = deque()

    def __enter__(self) -> TaskRun:
        if not self._dispatcher.finished:
            self._start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes, also those that are at work."""
        idle = [p for p in self._processes if p.ready and p.number not in self._dispatcher.ledger.leases]
        for process in idle:
            process.ask_to_end()
        for process in self._processes:
            process.end(PATIENCE if process in idle else 0.0)
        self._processes = []

    def wait_ready(self) -> None:
        """Wait until all workers have started. Results need not wait for that; measurements had better."""
        while any(not process.ready for process in self._processes):
            self._listen(None)

    def add(self, tasks: Sequence[Task]) -> int:
        """More tasks, while results are taken; how many of them are not known yet."""
        return self._dispatcher.add(tasks, time.monotonic())

    def __iter__(self) -> Iterator[Result]:
        while True:
            self._serve(0)  # who waits for a task shall not wait for whoever takes the results
            while not self._outbox and not self._dispatcher.finished:
                self._serve(None)
            if not self._outbox:
                return
            result = self._outbox.popleft()
            if self._progress is not None:
                self._progress(self.progress())
            yield result

    def progress(self) -> Progress:
        ledger = self._dispatcher.ledger
        done, failed = len(ledger.done), len(ledger.failed)
        return Progress(len(ledger.open) + done + failed, done, failed, len(ledger.leases))

    def report(self) -> LoadReport:
        """How evenly the work was spread so far."""
        return self._dispatcher.report()

    def state_dict(self) -> dict[str, Any]:
        """For JSON: all tasks whose results have been taken count as settled, and no others."""
        return self._dispatcher.state_dict([result.task.id for result in self._outbox])

    def _start(self) -> None:
        try:
            self._processes = [Process(i, worker, self._function) for i, worker in enumerate(self._workers)]
        except (AttributeError, TypeError, ValueError) as error:
            raise HydrasurrError(
                f"{self._function!r} cannot be sent to another process ({describe(error)}): "
                "a function of a module or an object of a class there is expected"
            ) from error

    def _serve(self, timeout: float | None) -> None:
        """Take what workers say within `timeout` seconds, replace who died or is late, hand out tasks."""
        if self._dispatcher.finished:
            return
        if not self._processes:
            self._start()
        remaining = self._dispatcher.deadline - time.monotonic()
        if timeout is None and remaining < float("inf"):
            timeout = max(remaining, 0.0)
        self._listen(timeout)
        for number, outcome in self._dispatcher.expire(time.monotonic()):
            self._settled(outcome)
            self._replace(number, "")
        while assignments := self._dispatcher.offer(time.monotonic()):  # again for those that could not be sent
            for assignment in assignments:
                self._hand_out(assignment)

    def _listen(self, timeout: float | None) -> None:
        owners = {source: process for process in self._processes for source in process.sources()}
        for process in {owners[source] for source in wait(list(owners), timeout)}:
            for message in process.messages():
                self._hear(process, message)
            if process.dead:
                self._bury(process)

    def _hear(self, process: Process, message: Any) -> None:
        now = time.monotonic()
        if isinstance(message, Answer):
            outcome = self._dispatcher.finish(process.number, message.seconds, now, message.error)
            self._settled(outcome, message.value)
        else:  # READY
            process.ready, self._stillborn = True, 0
            self._dispatcher.ready(process.number, now)

    def _bury(self, process: Process) -> None:
        ending = process.end(PATIENCE)
        if not process.ready:
            self._stillborn += 1
            if self._stillborn == STILLBORN:
                raise HydrasurrError(
                    f"workers end before they have started, {ending}: see above for what they say. Can "
                    f"{self._function!r} be imported, and is the main script guarded by `if __name__ == '__main__':`?"
                )
        self._replace(process.number, f"the worker's process {ending}")

    def _replace(self, number: int, reason: str) -> None:
        self._processes[number].end()
        self._settled(self._dispatcher.lose(number, reason, time.monotonic()))
        self._processes[number] = Process(number, self._workers[number], self._function)

    def _hand_out(self, assignment: Assignment) -> None:
        process = self._processes[assignment.worker]
        try:
            process.send((assignment.task.payload,))
        except OSError:
            self._bury(process)
        except Exception as error:  # nothing has been sent
            problem = f"its payload cannot be sent: {describe(error)}"
            self._settled(self._dispatcher.finish(assignment.worker, 0.0, time.monotonic(), problem))

    def _settled(self, outcome: Outcome | None, value: Any = None) -> None:
        if outcome is not None:
            x = outcome
            self._outbox.append(Result(x.task, value, x.error, x.worker, x.seconds, x.attempts))
