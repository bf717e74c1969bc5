"""Processes of this machine as a crew.

Each worker has a pipe of its own and one chunk at a time. So it is known on which rows a worker died, nothing is
left locked when one is killed, and a worker ends by itself when this process does, because its pipe closes.
"""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from hydrasurr.errors import HydrasurrError
from hydrasurr.processes import ignore_interrupts, start_process
from preprocessing.crew import Chunk, Crew, Work


class PoolCrew(Crew):
    """`workers` processes; this one reads and writes.

    The processes are spawned, so a script that uses this needs `if __name__ == "__main__":`.
    """

    def __init__(self, workers: int):
        self.workers = workers

    def map(self, work: Work, chunks: Iterable[Chunk], total: int) -> Iterator[Any]:
        count = min(self.workers, total)
        if count <= 1:
            yield from super().map(work, chunks, total)
            return
        chunks = iter(chunks)
        chunk = next(chunks, None)
        busy: dict[Connection, Chunk] = {}
        done: dict[int, Any] = {}
        expected = 0
        with _workers(count, work) as idle:
            while chunk is not None or busy or done:
                ready = wait(list(busy), timeout=0 if expected in done else None) if busy else []
                for pipe in ready:
                    finished = busy.pop(pipe)
                    done[finished.index] = _receive(pipe, finished)
                    idle.append(pipe)
                while idle and chunk is not None and chunk.index < expected + 2 * count:  # bounds the memory
                    pipe = idle.pop()
                    _send(pipe, chunk)
                    busy[pipe] = chunk
                    chunk = next(chunks, None)
                if expected in done:
                    yield done.pop(expected)
                    expected += 1


class _Failure(NamedTuple):
    """What a worker sends when its work raises."""

    trace: str


@contextmanager
def _workers(count: int, work: Work) -> Iterator[list[Connection]]:
    """Start workers and give the pipes to them; they end with the context."""
    spawn = multiprocessing.get_context("spawn")
    processes, pipes = [], []
    try:
        for _ in range(count):
            here, there = spawn.Pipe()
            process = spawn.Process(target=_run_worker, args=(there, work), daemon=True)
            start_process(process)
            there.close()  # so that the pipe closes when the worker ends
            processes.append(process)
            pipes.append(here)
        yield list(pipes)
        for pipe in pipes:
            pipe.close()
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finally:
        for process in processes:
            process.join()


def _run_worker(pipe: Connection, work: Work) -> None:
    ignore_interrupts()
    try:
        while True:
            chunk = pipe.recv()
            try:
                pipe.send(work(chunk))
            except Exception:
                pipe.send(_Failure(traceback.format_exc()))
    except (EOFError, OSError):  # the parent closed the pipe, or is gone
        return


def _send(pipe: Connection, chunk: Chunk) -> None:
    try:
        pipe.send(chunk)
    except OSError as error:
        raise _died(chunk) from error


def _receive(pipe: Connection, chunk: Chunk) -> Any:
    try:
        result = pipe.recv()
    except (EOFError, OSError) as error:
        raise _died(chunk) from error
    if isinstance(result, _Failure):
        raise RuntimeError(f"the work on rows {chunk.first_row} to {chunk.last_row} failed:\n{result.trace}")
    return result


def _died(chunk: Chunk) -> HydrasurrError:
    return HydrasurrError(
        f"a worker process died on rows {chunk.first_row} to {chunk.last_row}: out of memory, or a library "
        "crashed on one of them. Try fewer --workers, or find and remove the row."
    )
