"""The process group of a training: device, rendezvous, backend."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.nn  # before there is a group: default arguments in it keep the group, and its threads
from torch.distributed.rendezvous import rendezvous

from hydrasurr.errors import HydrasurrError, missing_extra
from hydrasurr.launcher import Ranks
from hydrasurr.loading import Share


def share_of(ranks: Ranks) -> Share:
    """This process's part of the data."""
    return Share(ranks.rank, ranks.world_size)


def choose_device(name: str, ranks: Ranks) -> torch.device:
    """The device of a configuration's `device` ("auto", "cpu", "cuda"); ranks of a node take GPUs in turn."""
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise HydrasurrError("training.device is 'cuda', but torch finds no CUDA device; use 'auto' or 'cpu'")
    return torch.device("cuda", ranks.local_rank % torch.cuda.device_count())


@contextmanager
def process_group(
    ranks: Ranks, device: torch.device, timeout_minutes: float = 30, store: dist.Store | None = None
) -> Iterator[None]:
    """A torch.distributed group while inside: NCCL on CUDA, Gloo else; none for one process.

    The ranks meet in `store`; without one, as the launcher says.
    """
    if ranks.world_size == 1:
        yield
        return
    timeout = timedelta(minutes=timeout_minutes)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        store=meet(ranks, timeout) if store is None else store,
        rank=ranks.rank,
        world_size=ranks.world_size,
        timeout=timeout,
    )
    try:
        yield
    finally:
        # DDP refers to the group in cycles. Its threads must end before the interpreter does, or they may abort it.
        gc.collect()
        dist.destroy_process_group()


def meet(ranks: Ranks, timeout: timedelta) -> dist.Store:
    """A store for all ranks, which call this together: as the environment says, else over MPI, else from Slurm.

    It may be one that rank 0 keeps, so rank 0 leaves last.
    """
    if "MASTER_ADDR" in os.environ and "MASTER_PORT" in os.environ:
        address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    elif ranks.launcher == "Slurm":
        address = _slurm_rendezvous(os.environ)
    else:
        return meet_over_mpi(_world_of_mpi(ranks), timeout)
    url = "tcp://{}:{}".format(*address)
    store, _, _ = next(rendezvous(url, ranks.rank, ranks.world_size, timeout=timeout))
    return store


def meet_over_mpi(communicator: Any, timeout: timedelta) -> dist.Store:
    """A store of rank 0 for all ranks of an MPI communicator, which call this together."""
    if communicator.rank == 0:
        store = own_store(own_address(), timeout)
        communicator.bcast((store.host, store.port))
        return store
    return dist.TCPStore(*communicator.bcast(None), timeout=timeout)


def own_store(address: str, timeout: timedelta) -> dist.TCPStore:
    """A store kept by this process, at a port that is its own from the beginning."""
    return dist.TCPStore(address, 0, is_master=True, timeout=timeout, wait_for_workers=False)


def _world_of_mpi(ranks: Ranks) -> Any:
    """The communicator of all ranks."""
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise missing_extra("mpi4py", "mpi") from error
    if MPI.COMM_WORLD.size != ranks.world_size:
        raise HydrasurrError(
            f"{ranks.launcher} started {ranks.world_size} ranks but mpi4py sees {MPI.COMM_WORLD.size}: "
            "mpirun and mpi4py belong to different MPI installations"
        )
    return MPI.COMM_WORLD


def own_address() -> str:
    """An address of this machine that its peers can reach; loopback where the host name has none."""
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return "127.0.0.1"


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
