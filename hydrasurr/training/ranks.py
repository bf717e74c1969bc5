"""Who this process is: rank discovery under torchrun, mpirun and srun, and the process group."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from hydrasurr.errors import HydrasurrError, missing_extra
from hydrasurr.loading.plan import Share

_LAUNCHERS = {  # launcher: variables of rank, world size and rank within the node; the first that fits counts
    "torchrun": ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    "Open MPI": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    "MPICH": ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
    # The step's size, not the job's: a batch script outside srun sees SLURM_NTASKS too but is one process.
    "Slurm": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
}


@dataclass(frozen=True)
class Ranks:
    """This process among all processes of the run."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    launcher: str = "single process"

    @property
    def is_root(self) -> bool:
        return self.rank == 0

    @property
    def share(self) -> Share:
        return Share(self.rank, self.world_size)


def discover(environment: Mapping[str, str] | None = None) -> Ranks:
    """Read this process's place from what the launcher set in the environment.

    Raises HydrasurrError if a launcher set only part of it or something that is no number.
    """
    environment = os.environ if environment is None else environment
    for launcher, (rank, size, local) in _LAUNCHERS.items():
        if rank in environment and size in environment:
            try:
                ranks = Ranks(
                    int(environment[rank]), int(environment[size]), int(environment.get(local, 0)), launcher
                )
            except ValueError as error:
                raise HydrasurrError(f"{launcher} set {rank}, {size} or {local} to something odd: {error}") from error
            return ranks if ranks.world_size > 1 else Ranks(launcher=launcher)
    return Ranks()


def choose_device(name: str, ranks: Ranks) -> torch.device:
    """The device of a configuration's `device` ("auto", "cpu", "cuda"); ranks of a node take GPUs in turn."""
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise HydrasurrError("training.device is 'cuda', but torch finds no CUDA device; use 'auto' or 'cpu'")
    return torch.device("cuda", ranks.local_rank % torch.cuda.device_count())


@contextmanager
def process_group(ranks: Ranks, device: torch.device, timeout_minutes: float = 30) -> Iterator[None]:
    """A torch.distributed group while inside: NCCL on CUDA, Gloo else; none for one process."""
    if ranks.world_size == 1:
        yield
        return
    address, port = _rendezvous(ranks)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        init_method=f"tcp://{address}:{port}",
        rank=ranks.rank,
        world_size=ranks.world_size,
        timeout=timedelta(minutes=timeout_minutes),
    )
    try:
        yield
    finally:
        dist.destroy_process_group()


def _rendezvous(ranks: Ranks) -> tuple[str, int]:
    """Address and port of rank 0: as the environment says, else asked over MPI, else from Slurm."""
    if "MASTER_ADDR" in os.environ and "MASTER_PORT" in os.environ:
        return os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    if ranks.launcher == "Slurm":
        return _slurm_rendezvous(os.environ)
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise missing_extra("mpi4py", "mpi") from error
    if MPI.COMM_WORLD.size != ranks.world_size:
        raise HydrasurrError(
            f"{ranks.launcher} started {ranks.world_size} ranks but mpi4py sees {MPI.COMM_WORLD.size}: "
            "mpirun and mpi4py belong to different MPI installations"
        )
    return MPI.COMM_WORLD.bcast((_own_address(), _free_port()) if ranks.is_root else None)


def _own_address() -> str:
    """An address of this machine that its peers can reach; loopback where the host name has none."""
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return "127.0.0.1"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def _slurm_rendezvous(environment: Mapping[str, str]) -> tuple[str, int]:
    """The first node of the step, and a port drawn from the job and step number."""
    nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_NODELIST", "127.0.0.1")
    job, step = int(environment.get("SLURM_JOB_ID", 0)), int(environment.get("SLURM_STEP_ID", 0))
    return first_slurm_node(nodes), 20_000 + (job * 31 + step) % 20_000


def first_slurm_node(nodes: str) -> str:
    """The first host of a Slurm node list: `gpu[007-009,11],login1` -> `gpu007`."""
    head, bracket, rest = nodes.partition("[")
    if not bracket or "," in head:
        return nodes.split(",")[0]
    inside, _, suffix = rest.partition("]")
    return head + inside.split(",")[0].split("-")[0] + suffix.split(",")[0]
