"""What every way to run workers has in common."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, Protocol

from hydrasurr.rl.scheduling.tasks import Worker


class Link(Protocol):
    """A worker, as whoever hands out tasks sees it.

    Attributes
    ----------
    number : of the worker
    ready : it has started; set by whoever hears it say so
    dead : it has ended, or nothing can be heard from it any more; known after `messages`
    """

    number: int
    ready: bool
    dead: bool

    def send(self, message: Any) -> None:
        """A payload in a tuple of one; they are answered one after another, in the order sent.

        Raises OSError if it is dead, and whatever keeps a message from being sent.
        """

    def messages(self) -> Iterator[Any]:
        """Those that have come in: READY or an Answer; also the last ones of a worker that is dead by now."""

    def ask_to_end(self) -> None:
        """It ends as soon as it has nothing to do."""

    def end(self, patience: float = 0.0) -> str:
        """Make sure that it has ended, by force after `patience` seconds; says how it ended."""


class Executor(Protocol):
    """Starts workers, and knows which of them have something to say.

    Attributes
    ----------
    shares_memory : workers are on this machine, with the memory that this process shares
    replaces : another worker can be started in the place of one that has died; without that none is ever too late
    """

    shares_memory: bool
    replaces: bool

    def start(self, number: int, worker: Worker, function: Callable[[Any], Any]) -> Link:
        """A worker that calls `function` with what it is sent, and says what came of it.

        Raises HydrasurrError if there is no more room, or, in the place of one that has died, if this executor cannot
        replace workers; AttributeError, TypeError or ValueError if the function cannot be sent.
        """

    def wait(self, links: Collection[Link], timeout: float | None) -> Collection[Link]:
        """Those that have something to say, or have died, within `timeout` seconds (None: wait until one has)."""

    def close(self) -> None:
        """No more workers are needed; they have ended."""
