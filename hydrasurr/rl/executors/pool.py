"""Tasks done by workers, which may die."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.executors.executor import Executor, Link
from hydrasurr.rl.executors.local import LocalExecutor
from hydrasurr.rl.executors.worker import Answer, describe
from hydrasurr.rl.scheduling.config import SchedulingConfig
from hydrasurr.rl.scheduling.dispatch import Dispatcher
from hydrasurr.rl.scheduling.report import LoadReport
from hydrasurr.rl.scheduling.tasks import Assignment, Outcome, Task, Worker

PATIENCE = 2.0
"""Seconds that a process gets to end by itself when it should."""
LAST_WORDS = 30.0
"""Seconds for one that has closed its connection to end, so that it is known how it did."""
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
    """Workers that work through tasks. A context manager, and an iterator of results as they come.

    An exception of `function` is the error of that task. A worker that dies, or has its task for longer than its lease,
    is replaced, and the task is tried again as often as the configuration says. The calling process hands out tasks
    while it waits for the next result.

    Parameters
    ----------
    function : called with the payload of a task. It is sent to each worker once, so it may be an object that keeps
        things from task to task; it must be importable there. `worker.this_worker()` tells it where it runs
    workers : how many, or what is known of each
    state : what `state_dict` gave: tasks with a result there are not done again. Give all tasks again with it
    progress : called before each result
    executor : where they run; processes of this machine by default
    ahead : tasks that a worker has waiting beside the one it does, so that it need not wait for the next
    payload : called with a task and the link to the worker that gets it, just before: what the worker is sent in
        place of the task's own payload

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
        executor: Executor | None = None,
        ahead: int = 0,
        payload: Callable[[Task, Link], Any] | None = None,
    ):
        self._workers = [Worker()] * workers if isinstance(workers, int) else list(workers)
        # To the dispatcher each place in a worker's queue is a worker; those of one are numbered len(workers) apart,
        # so that all workers get a task before one gets two.
        places = self._workers * (1 + ahead)
        self._dispatcher = Dispatcher(tasks, places, config or SchedulingConfig(), state, time.monotonic())
        self._function, self._progress = function, progress
        self._executor = executor or LocalExecutor()
        self._payload = payload or _own_payload
        self._links: list[Link] = []
        self._queues: list[deque[int]] = [deque() for _ in self._workers]
        """For each worker the places whose tasks it has, in the order in which it will answer."""
        self._stillborn = 0
        self._outbox: deque[Result] = deque()

    def __enter__(self) -> TaskRun:
        if not self._dispatcher.finished:
            self._start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers, also those that are at work."""
        idle = [link for link in self._links if link.ready and not self._queues[link.number]]
        for link in idle:
            link.ask_to_end()
        for link in self._links:
            link.end(PATIENCE if link in idle else 0.0)
        self._links = []
        self._executor.close()

    def wait_ready(self) -> None:
        """Wait until all workers have started. Results need not wait for that; measurements had better."""
        if not self._links:
            self._start()
        while any(not link.ready for link in self._links):
            self._listen(None)

    def add(self, tasks: Sequence[Task]) -> int:
        """More tasks, while results are taken; how many of them are not known yet."""
        return self._dispatcher.add(tasks, time.monotonic())

    def __iter__(self) -> Iterator[Result]:
        while True:
            self.serve(0)  # who waits for a task shall not wait for whoever takes the results
            while not self._outbox and not self._dispatcher.finished:
                self.serve(None)
            if not self._outbox:
                return
            result = self._outbox.popleft()
            if self._progress is not None:
                self._progress(self.progress())
            yield result

    def ready_results(self) -> Iterator[Result]:
        """Those that are there already; waits for none."""
        self.serve(0)
        while self._outbox:
            yield self._outbox.popleft()

    def progress(self) -> Progress:
        ledger = self._dispatcher.ledger
        done, failed = len(ledger.done), len(ledger.failed)
        return Progress(len(ledger.open) + done + failed, done, failed, len(ledger.leases))

    def report(self) -> LoadReport:
        """How evenly the work was spread so far."""
        return self._dispatcher.report(len(self._workers))

    def state_dict(self) -> dict[str, Any]:
        """For JSON: all tasks whose results have been taken count as settled, and no others."""
        return self._dispatcher.state_dict([result.task.id for result in self._outbox])

    def serve(self, timeout: float | None) -> None:
        """Take what workers say within `timeout` seconds, replace who died or is late, hand out tasks."""
        if self._dispatcher.finished:
            return
        if not self._links:
            self._start()
        remaining = self._dispatcher.deadline - time.monotonic()
        if timeout is None and remaining < float("inf") and self._executor.replaces:
            timeout = max(remaining, 0.0)
        self._listen(timeout)
        if self._executor.replaces:
            for place, outcome in self._dispatcher.expire(time.monotonic()):
                self._settled(outcome)
                self._replace(place % len(self._workers), "another of its tasks was late")
        while assignments := self._dispatcher.offer(time.monotonic()):  # again for those that could not be sent
            for assignment in assignments:
                self._hand_out(assignment)

    def _start(self) -> None:
        try:
            for number, worker in enumerate(self._workers):
                self._links.append(self._executor.start(number, worker, self._function))
        except (AttributeError, TypeError, ValueError) as error:
            raise HydrasurrError(
                f"{self._function!r} cannot be sent to another process ({describe(error)}): "
                "a function of a module or an object of a class there is expected"
            ) from error

    def _listen(self, timeout: float | None) -> None:
        for link in self._executor.wait(self._links, timeout):
            for message in link.messages():
                self._hear(link, message)
            if link.dead:
                self._bury(link)

    def _hear(self, link: Link, message: Any) -> None:
        now = time.monotonic()
        if isinstance(message, Answer):
            place = self._queues[link.number].popleft()
            outcome = self._dispatcher.finish(place, message.seconds, now, message.error)
            self._settled(outcome, message.value)
        else:  # READY
            link.ready, self._stillborn = True, 0
            for place in self._places(link.number):
                self._dispatcher.ready(place, now)

    def _bury(self, link: Link) -> None:
        ending = link.end(LAST_WORDS)
        if not link.ready:
            self._stillborn += 1
            if self._stillborn == STILLBORN:
                raise HydrasurrError(
                    f"workers end before they have started, {ending}: see above for what they say. Can "
                    f"{self._function!r} be imported, and is the main script guarded by `if __name__ == '__main__':`?"
                )
        self._replace(link.number, f"the worker's process {ending}")

    def _replace(self, number: int, reason: str) -> None:
        self._links[number].end()
        for place in self._places(number):
            self._settled(self._dispatcher.lose(place, reason, time.monotonic()))
        self._queues[number].clear()
        self._links[number] = self._executor.start(number, self._workers[number], self._function)

    def _places(self, number: int) -> range:
        """The dispatcher's numbers for a worker: its places, the first one for the task it does next."""
        return range(number, len(self._dispatcher.crew), len(self._workers))

    def _hand_out(self, assignment: Assignment) -> None:
        number = assignment.worker % len(self._workers)
        lease = self._dispatcher.ledger.leases.get(assignment.worker)
        if lease is None or lease.task != assignment.task.id:
            return  # lost with its worker, to whom another task could not be sent just now
        try:
            self._links[number].send((self._payload(assignment.task, self._links[number]),))
            self._queues[number].append(assignment.worker)
        except OSError:
            self._bury(self._links[number])
        except Exception as error:  # nothing has been sent
            problem = f"its payload cannot be sent: {describe(error)}"
            self._settled(self._dispatcher.finish(assignment.worker, 0.0, time.monotonic(), problem))

    def _settled(self, outcome: Outcome | None, value: Any = None) -> None:
        if outcome is not None:
            x = outcome
            worker = x.worker % len(self._workers)
            self._outbox.append(Result(x.task, value, x.error, worker, x.seconds, x.attempts))


def _own_payload(task: Task, link: Link) -> Any:
    return task.payload
