"""Workers that are ranks of torchrun, reached by sockets. torchrun ends all ranks if one of them dies."""

from __future__ import annotations

import pickle
import secrets
from collections.abc import Callable, Collection, Iterator
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener, wait
from typing import TYPE_CHECKING, Any

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.executors.worker import END, be, serve_until_end
from hydrasurr.rl.scheduling.tasks import Worker
from hydrasurr.training.ranks import own_address

if TYPE_CHECKING:
    import torch.distributed as dist

DISMISSED = None
"""What sends a rank home; any other first message is what it is to serve: number, Worker and function."""


class SocketExecutor:
    """Workers are ranks that call `serve_owner` with the same name.

    Parameters
    ----------
    store : of all ranks, through which they learn where to connect
    name : of this executor
    count : ranks to wait for
    """

    shares_memory = False
    replaces = False

    def __init__(self, store: dist.Store, name: str, count: int):
        key = secrets.token_bytes(32)  # keeps strangers out: what comes through a connection is unpickled
        self._listener = Listener((own_address(), 0), backlog=max(count, 1), authkey=key)
        self._missing = count
        """Ranks that have not connected yet."""
        self._connections: list[Connection] = []
        self._free: list[Connection] = []
        store.set(name, pickle.dumps((self._listener.address, key)))

    def start(self, number: int, worker: Worker, function: Callable[[Any], Any]) -> SocketLink:
        self._accept()
        if not self._free:
            raise HydrasurrError("no rank is left for another worker; ranks of torchrun that die cannot be replaced")
        connection = self._free.pop(0)
        connection.send((number, worker, function))
        return SocketLink(connection, number)

    def _accept(self) -> None:
        """Wait for all ranks that have not connected yet."""
        while self._missing:
            try:
                self._connections.append(self._listener.accept())
            except (AuthenticationError, EOFError, ConnectionError):  # a stranger
                continue
            self._free.append(self._connections[-1])
            self._missing -= 1
        self._listener.close()

    def wait(self, links: Collection[SocketLink], timeout: float | None) -> Collection[SocketLink]:
        owners = {link.connection: link for link in links}
        return [owners[connection] for connection in wait(list(owners), timeout)]

    def close(self) -> None:
        """Workers may be started again on the same ranks."""
        self._free = [connection for connection in self._connections if not connection.closed]

    def dismiss(self) -> None:
        """Send the ranks home; a second time nothing happens."""
        self._accept()
        for connection in self._connections:
            if not connection.closed:
                connection.send(DISMISSED)
                connection.close()


class SocketLink:
    """A rank at work; see Link."""

    def __init__(self, connection: Connection, number: int):
        self.connection, self.number = connection, number
        self.ready = self.dead = self._told = False
        self._open = 0
        """Messages that it has not answered."""

    def send(self, message: Any) -> None:
        self.connection.send(message)
        self._open += 1

    def messages(self) -> Iterator[Any]:
        try:
            while self.connection.poll():
                message = self.connection.recv()
                if self.ready:
                    self._open -= 1
                yield message
        except (EOFError, OSError):
            self.dead = True

    def ask_to_end(self) -> None:
        if self._told:
            return
        self._told = True
        try:
            self.connection.send(END)
        except OSError:
            self.dead = True

    def end(self, patience: float = 0.0) -> str:
        """A rank cannot be ended by force: waits for what it is doing, and lets it serve anew."""
        if self.dead:
            self.connection.close()
            return "is gone"
        self.ask_to_end()
        while not self.dead and (not self.ready or self._open):
            wait([self.connection])
            for _ in self.messages():
                self.ready = True
        self.dead = True
        return "was told to end"


def serve_owner(store: dist.Store, name: str) -> None:
    """Be a worker of the executor of that name until it sends this one home, or is gone."""
    address, key = pickle.loads(store.get(name))
    with Client(address, authkey=key) as connection:
        while (start := _start(connection)) is not DISMISSED:
            number, worker, function = start
            be(number, worker)
            serve_until_end(connection, function)


def _start(connection: Connection) -> Any:
    try:
        return connection.recv()
    except (EOFError, OSError):
        return DISMISSED
