"""What real Gloo ranks do for the tests of communication: average gradients in every way, and train."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp
from torch import nn

from hydrasurr.launcher import Ranks
from hydrasurr.stores import open_store
from hydrasurr.training.communication import data_parallel
from hydrasurr.training.config import CommunicationConfig, RunConfig
from hydrasurr.training.folder import RunFolder
from hydrasurr.training.ranks import process_group
from hydrasurr.training.run import Job
from hydrasurr.training.stop import StopRequest
from hydrasurr.training.tasks import choose_task
from hydrasurr.training.timing import PhaseTimer
from hydrasurr.training.watch import Watcher
from tests.runs import run_config

CPU = torch.device("cpu")

Section = dict[str, Any]
"""A section `training.communication` of a run's JSON."""

BUCKETS: Section = {"bucket_mb": 1e-6}
WHOLE: dict[str, Section] = {"default": {}, "buckets": BUCKETS, "overlap": {"overlap": True}}
"""Nothing is lost."""
ROUNDED: dict[str, Section] = {"fp16": {"compression": "fp16"}, "bf16": {"compression": "bf16"}}
ROUNDOFF = {"fp16": 2.0**-11, "bf16": 2.0**-8}
"""Largest relative error of rounding to so many bits."""
SMALLEST = 2.0**-25
"""Largest absolute error of rounding to fp16 near zero."""
NODES: dict[str, Section] = {
    "2 + 2": {"hierarchical": True, "ranks_per_node": 2},
    "3 + 1": {"hierarchical": True, "ranks_per_node": 3},
    "one machine": {"hierarchical": True},
    "a rank each": {"hierarchical": True, "ranks_per_node": 1},
}


def powersgd(rank: int, start: int = 2) -> Section:
    return {"compression": "powersgd", "powersgd_rank": rank, "powersgd_start": start}


STEPS = 4
EXPERIMENTS: dict[int, dict[str, Section]] = {
    2: {**WHOLE, **ROUNDED, "factors": powersgd(2), "factors later": powersgd(2, STEPS)},
    4: {
        **WHOLE,
        **NODES,
        **{f"{name}, 2 + 2": ROUNDED[name] | NODES["2 + 2"] | BUCKETS for name in ROUNDED},
        "factors, 3 + 1": powersgd(4) | NODES["3 + 1"] | BUCKETS,
    },
}
"""Number of ranks -> ways to average the gradients of a small network."""
RUNS: dict[int, dict[str, Section]] = {
    2: {**WHOLE, "buckets": {"bucket_mb": 0.004}, **ROUNDED, "factors": powersgd(2)},
    4: {"2 + 2": NODES["2 + 2"]},
}
"""Number of ranks -> ways to train."""
RESUMED = {2: ("fp16", "factors"), 4: ("2 + 2",)}
SMALL, LARGE = 24, 400
"""Widths of a network with a thousand weights, and of one whose gradients fill two of torch's own buckets."""
TRAINING = {"epochs": 2, "precision": "fp64", "optimizer": {"lr": 0.005}}
UPDATES = 20
"""Steps an epoch."""


@dataclass(frozen=True)
class Outcome:
    """What so many ranks left behind.

    Attributes
    ----------
    steps : for each rank: experiment -> gradients, bytes sent and number of buckets of each step
    runs : folder of the runs; those resumed are in its subfolder "resumed"
    """

    steps: list[dict[str, dict[str, list]]]
    runs: Path

    @property
    def world_size(self) -> int:
        return len(self.steps)


def run_ranks(world_size: int, dataset: Path, out: Path) -> Outcome:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Forked from a process that has imported this module, which is faster than importing it in each.
    multiprocessing.get_context("forkserver").set_forkserver_preload([__name__])
    mp.start_processes(work, (world_size, port, dataset, out), nprocs=world_size, start_method="forkserver")
    return Outcome([torch.load(out / f"{rank}.pt", weights_only=True) for rank in range(world_size)], out)


def work(rank: int, world_size: int, port: int, dataset: Path, out: Path) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    ranks = Ranks(rank, world_size, rank, "torchrun")
    with process_group(ranks, CPU):
        for name, section in RUNS[world_size].items():
            assert train(make_job(ranks, dataset, out / name, section))
        for name in RESUMED[world_size]:
            job = make_job(ranks, dataset, out / "resumed" / name, RUNS[world_size][name])
            assert not train(job, time_limit=0.0)
            assert train(job)
        steps = {name: take_steps(rank, SMALL, section) for name, section in EXPERIMENTS[world_size].items()}
        if world_size == 2:
            steps |= {f"{name}, large": take_steps(rank, LARGE, section) for name, section in WHOLE.items()}
            steps["same again"] = take_steps(rank, SMALL, powersgd(1), [0] * 40)
            steps["deserted"] = deserted(rank)
        torch.save(steps, out / f"{rank}.pt")


def make_job(ranks: Ranks, dataset: Path, folder: Path, section: Section) -> Job:
    """16 graphs a step on any number of ranks; without batch statistics, which each rank takes of its own graphs."""
    training = TRAINING | {"batch_size": 16 // ranks.world_size, "communication": section}
    config = RunConfig.model_validate(run_config(dataset, training=training, model={"norm": "layer"}))
    store = open_store(dataset)
    return Job(config, RunFolder(folder), store, choose_task(config, store.info), ranks, CPU)


def train(job: Job, time_limit: float | None = None) -> bool:
    job.prepare(resume=True, force=False)
    return job.train_member(0, StopRequest(time_limit), Watcher(False))


class BucketCounter(PhaseTimer):
    """Counts the buckets it is told the time of."""

    count = 0

    def add(self, name: str, seconds: float) -> None:
        super().add(name, seconds)
        self.count += name == "all_reduce"


def small_network(width: int, dtype: torch.dtype) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, width - 4)).to(dtype)


def backward(network: nn.Module, width: int, dtype: torch.dtype, rank: int, seed: int) -> None:
    """Of a batch of one row, so that the gradient of a weight matrix has rank one."""
    torch.manual_seed(1000 * rank + seed)
    network(torch.randn(1, width, dtype=dtype)).square().sum().backward()


def dtype_of(section: Section) -> torch.dtype:
    return torch.float32 if section.get("compression") in ROUNDED else torch.float64


def take_steps(rank: int, width: int, section: Section, seeds: list[int] | None = None) -> dict[str, list]:
    timer, sent, dtype = BucketCounter(CPU), Counter(), dtype_of(section)
    network = small_network(width, dtype)
    parallel = data_parallel(network, CommunicationConfig.model_validate(section), timer, sent)
    result: dict[str, list] = {"gradients": [], "sent": [], "buckets": []}
    for seed in seeds or range(STEPS):
        sent.clear()
        timer.count = 0
        backward(parallel, width, dtype, rank, seed)
        result["gradients"].append([parameter.grad.clone() for parameter in network.parameters()])
        result["sent"].append(dict(sent))
        result["buckets"].append(timer.count)
        network.zero_grad(set_to_none=True)
    return result


def deserted(rank: int) -> dict[str, list]:
    """Rank 1 is gone when rank 0 wants to average; what rank 0 is told."""
    network = small_network(SMALL, torch.float64)
    parallel = data_parallel(network, CommunicationConfig(), PhaseTimer(CPU), Counter())
    if rank == 1:
        return {}
    with pytest.raises(RuntimeError) as error:
        backward(parallel, SMALL, torch.float64, rank, 0)
    return {"error": [str(error.value)]}
