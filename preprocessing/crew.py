"""Who does the work: this process, a pool of processes (`preprocessing.pool`), or MPI ranks (`preprocessing.mpi`).

Whatever the crew, results come in the order of the chunks, so what is written does not depend on it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from hydrasurr.launcher import MPI, discover

if TYPE_CHECKING:
    from mpi4py.MPI import Comm

Result = TypeVar("Result")


class Chunk(Protocol):
    """Consecutive rows (or frames) of the input; `first_row` and `last_row` count from 1, `index` counts chunks."""

    index: int
    first_row: int

    @property
    def last_row(self) -> int: ...


Work = Callable[[Chunk], Result]


class Crew:
    """One process; also the protocol of the others. Use as a context manager.

    Attributes
    ----------
    rank : of this process
    stride : how many chunks are done, in all, for each result that `map` gives here
    writers : communicator of the ranks that write together, None if rank 0 writes alone
    """

    rank: int = 0
    stride: int = 1
    writers: Comm | None = None

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *error: object) -> None:
        """Under MPI, an error ends all ranks."""

    def share(self, function: Callable[[], Result]) -> Result:
        """Call `function` on rank 0 and give every rank what it returned; if it raises, all ranks stop."""
        return function()

    def map(self, work: Work, chunks: Iterable[Chunk], total: int) -> Iterator[Any]:
        """`work(chunk)` for the `total` chunks, in order, on the process that writes them.

        Where ranks write together, each gets a contiguous share, and None as often as it takes to make the
        number of results equal on all ranks.
        """
        return (work(chunk) for chunk in chunks)

    def gather(self, items: list[Result]) -> list[Result]:
        """On rank 0: the items of all ranks, those of rank 0 first; elsewhere empty."""
        return items


def make_crew(workers: int | None = None, collective: bool = False) -> Crew:
    """MPI ranks if a launcher started several, else `workers` processes (None: one for each available core).

    `collective` lets MPI ranks write together if ADIOS2 can.
    """
    from preprocessing.mpi import MPICrew
    from preprocessing.pool import PoolCrew

    if discover(launchers=MPI).world_size > 1:
        return MPICrew(collective)
    return PoolCrew(workers or _available_cores())


def _available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
