"""Workers that are actors of Ray, on whichever machine of its cluster has room."""

from __future__ import annotations

import logging
import os
import pickle
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator
from typing import Any

from hydrasurr.errors import HydrasurrError, missing_extra
from hydrasurr.rl.executors.worker import READY, answer, be, describe, unreadable, unsendable
from hydrasurr.rl.scheduling.tasks import Worker

OBJECT_STORE = 256 * 2**20
"""Bytes of shared memory of a Ray that is started here; what is on its way between processes lies there."""
LITTLE = 0.01
"""Of a GPU, so that workers may share it."""
KILLING = 10.0
"""Seconds that Ray may take to end an actor by force."""
LIFE = "life"
"""Concurrency group of the call that lasts as long as the actor."""


class RayExecutor:
    """Starts an actor for each worker, and a new one in the place of one that has died.

    Connects to the cluster that RAY_ADDRESS names, else to the one that `ray start` has started on this machine; where
    there is none, it starts Ray on this machine until this process ends. All machines need the same Python packages.

    In a cluster each worker takes a CPU, and a GPU if its device is CUDA, and starts when there is room. On a Ray of
    its own the workers share the machine.

    Raises HydrasurrError if there is no Ray.
    """

    shares_memory = False
    replaces = True

    def __init__(self) -> None:
        try:
            import ray
        except ImportError as error:
            raise missing_extra("ray", "ray") from error
        if not ray.is_initialized():
            _connect()
        self._ray = ray
        self._serving = ray.remote(max_restarts=0, concurrency_groups={LIFE: 1})(Serving)

    def start(self, number: int, worker: Worker, function: Callable[[Any], Any]) -> RayLink:
        content = pickle.dumps((number, worker, function))
        path = [os.path.abspath(folder) for folder in sys.path]
        actor = self._serving.options(scheduling_strategy="SPREAD", **_room(worker)).remote(path, os.getcwd())
        return RayLink(self._ray, actor, number, content)

    def wait(self, links: Collection[RayLink], timeout: float | None) -> Collection[RayLink]:
        owners = {reference: link for link in links for reference in link.references()}
        self._ray.wait(list(owners), timeout=timeout, fetch_local=False)
        found, _ = self._ray.wait(list(owners), num_returns=len(owners), timeout=0, fetch_local=False)
        return {owners[reference] for reference in found}

    def close(self) -> None:
        """Ray itself stays, for the next run of this process."""


_own = False
"""This process has started Ray for itself."""


def _connect() -> None:
    global _own
    import ray

    os.environ.setdefault("RAY_timeout_ms_task_wait_for_death_info", "60000")  # why an actor died may be known late
    try:
        try:
            ray.init(object_store_memory=OBJECT_STORE, include_dashboard=False, logging_level=logging.ERROR)
            _own = True
        except ValueError:  # there is a cluster already, which has its memory
            ray.init(logging_level=logging.ERROR)
            _own = False
    except (OSError, RuntimeError, ValueError) as error:
        raise HydrasurrError(f"cannot connect to Ray, or start it: {describe(error)}") from error


def _room(worker: Worker) -> dict[str, float]:
    """What a worker takes of the machine it runs on."""
    cuda = worker.device.startswith("cuda")
    return {"num_cpus": 0, "num_gpus": LITTLE * cuda} if _own else {"num_cpus": 1, "num_gpus": int(cuda)}


class RayLink:
    """An actor at work; see Link.

    Parameters
    ----------
    actor : handle of a Serving
    content : what it is to serve
    """

    def __init__(self, ray: Any, actor: Any, number: int, content: bytes):
        self._ray, self._actor, self.number = ray, actor, number
        self.ready = self.dead = False
        self._ending = "was told to end"
        self._life = actor.live.options(concurrency_group=LIFE).remote()
        """Reference to what is there when it has ended."""
        self._answers: deque[Any] = deque([actor.begin.remote(content)])
        """References to what it will say, in this order."""

    def references(self) -> list[Any]:
        """What to wait for: its next message, and its end."""
        return [*list(self._answers)[:1], self._life]

    def send(self, message: Any) -> None:
        content = pickle.dumps(message)
        if self.dead:
            raise OSError("this worker is dead")
        self._answers.append(self._actor.do.remote(content))

    def messages(self) -> Iterator[Any]:
        try:
            while self._answers and self._is_there(self._answers[0]):
                content = self._ray.get(self._answers[0])
                self._answers.popleft()
                yield pickle.loads(content)
            if self._is_there(self._life):
                self.dead = True
                self._ray.get(self._life)
        except self._ray.exceptions.RayError as error:
            self.dead, self._ending = True, _ending(error)

    def ask_to_end(self) -> None:
        self._life = self._actor.leave.remote()

    def end(self, patience: float = 0.0) -> str:
        if not self._is_there(self._life, patience):
            self._ray.kill(self._actor)
            self._is_there(self._life, KILLING)
        self.dead = True
        return self._ending

    def _is_there(self, reference: Any, timeout: float = 0.0) -> bool:
        return bool(self._ray.wait([reference], timeout=timeout, fetch_local=False)[0])


def _ending(error: Exception) -> str:
    """Of an actor, by what Ray says of it; numbers of signals and exit codes it does not tell."""
    if cause := getattr(error, "cause", None):  # raised in it, before it could begin
        return f"could not begin ({describe(cause)})"
    text = str(error).strip()
    detail = re.search(r"Worker exit detail: ([^.\n]*)", text)
    return f"died ({detail[1] if detail else text.splitlines()[-1]})"


class Serving:
    """The actor: does task after task.

    Messages are pickled here and by the link, not by Ray, whose pickle takes more: functions and payloads must be such
    that all executors can send them.

    Parameters
    ----------
    path, folder : of the process that starts it, so that it finds the same modules and files if they are there
    """

    def __init__(self, path: list[str], folder: str):
        sys.path += [each for each in path if each not in sys.path]
        if os.path.isdir(folder):
            os.chdir(folder)
        self._over = threading.Event()

    def live(self) -> None:
        """Its caller hears of it when the actor dies."""
        self._over.wait()

    def begin(self, content: bytes) -> bytes:
        number, worker, self._function = pickle.loads(content)
        be(number, worker)
        return pickle.dumps(READY)

    def do(self, content: bytes) -> bytes:
        try:
            message = pickle.loads(content)
        except Exception as error:
            return pickle.dumps(unreadable(error))
        said = answer(message, self._function)
        try:
            return pickle.dumps(said)
        except Exception as error:
            return pickle.dumps(unsendable(said, error))

    def leave(self) -> None:
        """Its caller hears of it when the actor has ended."""
        import ray

        self._over.set()  # Ray waits for that thread
        ray.actor.exit_actor()
