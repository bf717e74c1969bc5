"""Which process of a parallel job this is, as the launcher says."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hydrasurr.errors import ConfigError, HydrasurrError

TORCHRUN = {"torchrun": ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
MPI = {
    "Open MPI": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    "MPICH": ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
    # The step's size, not the job's: a batch script outside srun sees SLURM_NTASKS too but is one process.
    "Slurm": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
}
"""Launcher -> its variables of rank, world size and rank within the node."""


@dataclass(frozen=True)
class Ranks:
    """This process among all processes of a job."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    launcher: str = "single process"

    @property
    def is_root(self) -> bool:
        return self.rank == 0


def discover(
    environment: Mapping[str, str] | None = None, launchers: Mapping[str, tuple[str, str, str]] | None = None
) -> Ranks:
    """This process's place, from what the first of `launchers` (torchrun, then MPI) that ran has set.

    Raises HydrasurrError if a variable is no number.
    """
    environment = os.environ if environment is None else environment
    for launcher, (rank, size, local) in (launchers or TORCHRUN | MPI).items():
        if rank in environment and size in environment:
            try:
                numbers = int(environment[rank]), int(environment[size]), int(environment.get(local, 0))
            except ValueError as error:
                raise HydrasurrError(f"{launcher} set {rank}, {size} or {local} to something odd: {error}") from error
            return Ranks(*numbers, launcher) if numbers[1] > 1 else Ranks(launcher=launcher)
    return Ranks()


def abort(comm: Any) -> None:
    """End all ranks of an MPI job, which might wait for ever for this one, after an error that it has told."""
    sys.stderr.flush()
    time.sleep(0.5)  # a launcher passes nothing on once a job is being ended
    comm.Abort(1)


def refuse_launcher(what: str) -> None:
    """Raise ConfigError if this is one of several ranks; `what` starts processes of its own."""
    if (ranks := discover()).world_size > 1:
        raise ConfigError(
            f"{ranks.launcher} has started {ranks.world_size} ranks, but a {what} starts its own processes: run it "
            "plainly"
        )
