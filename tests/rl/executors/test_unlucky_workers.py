"""Workers that die between being heard and being sent to, which no real process can be made to do, or are slow."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from hydrasurr.rl.executors.local import LocalExecutor
from hydrasurr.rl.executors.pool import TaskRun
from hydrasurr.rl.executors.worker import READY, Answer
from hydrasurr.rl.scheduling.config import SchedulingConfig
from hydrasurr.rl.scheduling.tasks import Task, Worker
from tests.rl.scheduling import jobs


class Broken:
    """A link that answers with what it was sent; `deaf`: the first thing sent finds it dead."""

    def __init__(self, number: int, deaf: bool):
        self.number, self.deaf = number, deaf
        self.ready = self.dead = False
        self.said: list[Any] = [READY]

    def send(self, message: Any) -> None:
        if self.deaf:
            self.dead = True
            raise BrokenPipeError
        self.said.append(Answer(message[0], None, 0.1))

    def messages(self) -> Iterator[Any]:
        if self.said:
            yield self.said.pop(0)

    def ask_to_end(self) -> None:
        pass

    def end(self, patience: float = 0.0) -> str:
        self.dead = True
        return "was ended by SIGKILL"


class Workshop:
    shares_memory, replaces = False, True

    def __init__(self) -> None:
        self.started = 0

    def start(self, number: int, worker: Worker, function: Callable[[Any], Any]) -> Broken:
        self.started += 1
        return Broken(number, deaf=self.started == 1)

    def wait(self, links: Collection[Broken], timeout: float | None) -> Collection[Broken]:
        return [link for link in links if link.said]

    def close(self) -> None:
        pass


def test_results_are_those_of_their_tasks() -> None:
    """Both tasks that were meant for the dead one are handed out anew, and none is taken for another."""
    tasks = [Task(f"task {k}", f"task {k}") for k in range(6)]
    with TaskRun(str, tasks, workers=1, executor=Workshop(), ahead=1) as run:
        found = {result.task.id: result.value for result in run}
    assert found == {task.id: task.payload for task in tasks}


class Irreplaceable(LocalExecutor):
    replaces = False


def test_a_worker_that_cannot_be_replaced_is_never_late() -> None:
    scheduling = SchedulingConfig.model_validate({"lease": {"seconds": 0.2}})
    tasks = [Task("slow", 1.0), Task("quick", 0.0)]
    with TaskRun(jobs.sleep, tasks, scheduling, workers=1, executor=Irreplaceable()) as run:
        assert sorted((result.task.id, result.attempts, result.error) for result in run) == [
            ("quick", 1, None),
            ("slow", 1, None),
        ]
