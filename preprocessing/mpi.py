"""MPI ranks as a crew: `mpirun -n 8 hydrasurr-preprocess CARD`.

Every rank reads the table and works on its own chunks. Rank 0 collects and writes; where ADIOS2 was built
with MPI, each rank writes a contiguous share itself.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from hydrasurr import launcher
from hydrasurr.errors import HydrasurrError, missing_extra
from hydrasurr.stores.bp import adios2_has_mpi
from preprocessing.crew import Chunk, Crew, Work

Result = TypeVar("Result")


class MPICrew(Crew):
    """All ranks of MPI_COMM_WORLD; with `collective` they write together if ADIOS2 can.

    An error on one rank ends all of them.
    """

    def __init__(self, collective: bool):
        try:
            from mpi4py import MPI
        except ImportError as error:
            raise missing_extra("mpi4py", "mpi") from error
        self._comm = MPI.COMM_WORLD
        self.rank, self._size = self._comm.rank, self._comm.size
        started = launcher.discover(launchers=launcher.MPI).world_size
        if self._size != started:
            raise HydrasurrError(
                f"the launcher started {started} processes, but mpi4py sees {self._size}: "
                "launch with the mpirun (or srun --mpi) of the MPI that mpi4py uses"
            )
        self._all_know = False
        together = collective and self.share(adios2_has_mpi)
        self.writers = self._comm if together else None
        self.stride = self._size if together else 1

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or self._all_know:
            return
        # The other ranks wait for this one: leaving quietly would hang the job.
        if isinstance(error, HydrasurrError):
            print(f"error (rank {self.rank}): {error}", file=sys.stderr)
        elif isinstance(error, Exception):
            traceback.print_exception(error)
        launcher.abort(self._comm)

    def share(self, function: Callable[[], Result]) -> Result:
        result = error = None
        if self.rank == 0:
            try:
                result = function()
            except Exception as caught:
                error = caught
        failed, result = self._comm.bcast((error is not None, result))
        if failed:
            self._all_know = True
            raise error or SystemExit(1)
        return result

    def map(self, work: Work, chunks: Iterable[Chunk], total: int) -> Iterator[Any]:
        if self.writers is not None:
            return self._map_contiguous(work, chunks, total)
        return self._collect(work, chunks, total) if self.rank == 0 else self._serve(work, chunks)

    def gather(self, items: list[Result]) -> list[Result]:
        return [item for share in self._comm.gather(items) or [] for item in share]

    def _collect(self, work: Work, chunks: Iterable[Chunk], total: int) -> Iterator[Any]:
        mine = islice(chunks, 0, None, self._size)
        for index in range(total):
            source = index % self._size
            yield work(next(mine)) if source == 0 else self._comm.recv(source=source)

    def _serve(self, work: Work, chunks: Iterable[Chunk]) -> Iterator[Any]:
        sent = None
        for chunk in islice(chunks, self.rank, None, self._size):
            result = work(chunk)
            if sent is not None:  # one result may wait for rank 0, not more
                sent.wait()
            sent = self._comm.isend(result, dest=0)
        if sent is not None:
            sent.wait()
        yield from ()

    def _map_contiguous(self, work: Work, chunks: Iterable[Chunk], total: int) -> Iterator[Any]:
        first, end = (total * rank // self._size for rank in (self.rank, self.rank + 1))
        mine = islice(chunks, first, end)
        for _ in range(-(-total // self._size)):
            chunk = next(mine, None)
            yield None if chunk is None else work(chunk)
