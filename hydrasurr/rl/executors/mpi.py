"""Workers that are ranks of an MPI job, by mpi4py. Without fault tolerance in MPI, a rank that dies ends the job."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.executors.worker import END, be, serve_until_end
from hydrasurr.rl.scheduling.tasks import Worker

if TYPE_CHECKING:
    from mpi4py import MPI

TO_WORKER, TO_OWNER, START = 11, 12, 13
"""Tags of messages."""
DISMISSED = None
"""A START that sends a worker home; any other is what it is to serve: number, Worker and function."""
NAP = 5e-4
"""Seconds between two looks for messages: MPI itself would wait at full speed, and take a core."""


class MPIExecutor:
    """Workers are the given ranks, which call `serve_owner`.

    Parameters
    ----------
    comm : with this rank and those
    ranks : as many workers can be started
    """

    shares_memory = False
    replaces = False

    def __init__(self, comm: MPI.Comm, ranks: Sequence[int]):
        self._comm, self._free, self._ranks = comm, list(ranks), list(ranks)

    def start(self, number: int, worker: Worker, function: Callable[[Any], Any]) -> RankLink:
        if not self._free:
            raise HydrasurrError("no rank is left for another worker; ranks of MPI that die cannot be replaced")
        link = RankLink(self._comm, self._free.pop(0), number)
        self._comm.send((number, worker, function), link.rank, START)
        return link

    def wait(self, links: Collection[RankLink], timeout: float | None) -> Collection[RankLink]:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            found = [link for link in links if link.has_message()]
            if found or (deadline is not None and time.monotonic() >= deadline):
                return found
            time.sleep(NAP)

    def close(self) -> None:
        """Workers may be started again on the same ranks."""
        self._free = list(self._ranks)

    def dismiss(self) -> None:
        """Send the ranks home; a second time nothing happens."""
        while self._ranks:
            self._comm.send(DISMISSED, self._ranks.pop(), START)


class RankLink:
    """A rank at work; see Link."""

    def __init__(self, comm: MPI.Comm, rank: int, number: int):
        self._comm, self.rank, self.number = comm, rank, number
        self.ready = self.dead = self._told = False
        self._sending: list[MPI.Request] = []
        self._open = 0
        """Messages that it has not answered."""

    def has_message(self) -> bool:
        return self._comm.iprobe(self.rank, TO_OWNER)

    def send(self, message: Any) -> None:
        self._sending = [request for request in self._sending if not request.Test()]
        self._sending.append(self._comm.isend(message, self.rank, TO_WORKER))
        self._open += 1

    def messages(self) -> Iterator[Any]:
        while self.has_message():
            if self.ready:
                self._open -= 1
            yield self._comm.recv(source=self.rank, tag=TO_OWNER)

    def ask_to_end(self) -> None:
        if not self._told:
            self._told = True
            self._sending.append(self._comm.isend(END, self.rank, TO_WORKER))

    def end(self, patience: float = 0.0) -> str:
        """A rank cannot be ended by force: waits for what it is doing, and lets it serve anew."""
        if not self.dead:
            self.ask_to_end()
            while not self.ready or self._open:
                if not self.has_message():
                    time.sleep(NAP)
                for _ in self.messages():
                    self.ready = True
            for request in self._sending:
                request.Wait()
            self.dead = True
        return "was told to end"


def serve_owner(comm: MPI.Comm, owner: int) -> None:
    """Be a worker of the rank `owner` until it sends this one home."""
    channel = _Channel(comm, owner)
    while (start := _receive(comm, owner, START)) is not DISMISSED:
        number, worker, function = start
        be(number, worker)
        serve_until_end(channel, function)


class _Channel:
    """To the owner, as a Connection is."""

    def __init__(self, comm: MPI.Comm, owner: int):
        self._comm, self._owner = comm, owner

    def send(self, message: Any) -> None:
        self._comm.send(message, self._owner, TO_OWNER)

    def recv(self) -> Any:
        return _receive(self._comm, self._owner, TO_WORKER)


def _receive(comm: MPI.Comm, source: int, tag: int) -> Any:
    while not comm.iprobe(source, tag):
        time.sleep(NAP)
    return comm.recv(source=source, tag=tag)
