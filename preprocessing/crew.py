"""Who does the work: this process, a pool of processes, or MPI ranks (`preprocessing.mpi`).

Whatever the crew, results come in the order of the chunks, so what is written does not depend on it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, TypeVar

from hydrasurr.errors import HydrasurrError
from preprocessing.rows import Chunk

if TYPE_CHECKING:
    from mpi4py import MPI

Result = TypeVar("Result")
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
    writers: MPI.Comm | None = None

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *error: object) -> None:
        """Let the workers go; under MPI, an error ends all ranks."""

    @property
    def writes(self) -> bool:
        """Whether this process gets results to write."""
        return self.rank == 0 or self.writers is not None

    def share(self, function: Callable[[], Result]) -> Result:
        """Call `function` on rank 0 and give every rank what it returned; if it raises, all ranks stop."""
        return function()

    def map(self, work: Work, chunks: Iterable[Chunk], total: int) -> Iterator[Any]:
        """`work(chunk)` for the `total` chunks, in order, on the process that writes them.

        Where ranks write together, each gets a contiguous share, and None as often as it takes to make the
        number of results equal on all ranks.
        """
        return (_with_rows(work, chunk) for chunk in chunks)

    def gather(self, items: list[Result]) -> list[Result]:
        """On rank 0: the items of all ranks, those of rank 0 first; elsewhere empty."""
        return items


class PoolCrew(Crew):
    """`workers` processes of this machine; this process reads and writes.

    The processes are spawned, so a script that uses this needs `if __name__ == "__main__":`.
    """

    def __init__(self, workers: int):
        self.workers = workers

    def map(self, work: Work, chunks: Iterable[Chunk], total: int) -> Iterator[Any]:
        workers = min(self.workers, total)
        if workers <= 1:
            yield from super().map(work, chunks, total)
            return
        others = set(multiprocessing.active_children())
        pool = ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(work,)
        )
        waiting: deque[tuple[Chunk, Future]] = deque()
        try:
            for chunk in chunks:
                waiting.append((chunk, pool.submit(_run, chunk)))
                if len(waiting) > 2 * workers:  # bounds the memory: the reader waits for the slowest chunk
                    yield _next_result(waiting)
            while waiting:
                yield _next_result(waiting)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            raise
        pool.shutdown()


def _next_result(waiting: deque[tuple[Chunk, Future]]) -> Any:
    try:
        result = waiting[0][1].result()
    except BrokenProcessPool as error:
        first, last = waiting[0][0].first_row, waiting[-1][0].last_row
        raise HydrasurrError(
            f"a worker process died while rows {first} to {last} were in work: out of memory, or "
            "RDKit crashed on one of these molecules. Try fewer --workers, or find and remove the row."
        ) from error
    waiting.popleft()
    return result


_work: Work | None = None


def _start_worker(work: Work) -> None:
    """Keep the work in the process, so that a chunk is all that travels later."""
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _run(chunk: Chunk) -> Any:
    assert _work is not None
    return _with_rows(_work, chunk)


def _with_rows(work: Work, chunk: Chunk) -> Any:
    try:
        return work(chunk)
    except Exception as error:
        error.add_note(f"This happened between rows {chunk.first_row} and {chunk.last_row} of the table.")
        raise


def make_crew(workers: int | None = None, collective: bool = False) -> Crew:
    """MPI ranks if a launcher started several, else `workers` processes (None: one for each available core).

    `collective` lets MPI ranks write together if ADIOS2 can.
    """
    from preprocessing.mpi import MPICrew, launched_ranks

    if launched_ranks() > 1:
        return MPICrew(collective)
    return PoolCrew(workers or _available_cores())


def _available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
