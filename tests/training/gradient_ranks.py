"""What real Gloo ranks do for the tests of communication: average gradients in every way, and train."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from hydrasurr.errors import HydrasurrError
from hydrasurr.launcher import Ranks
from hydrasurr.scaling.world import local_store
from hydrasurr.stores import open_store
from hydrasurr.training import checkpoint
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
INT8: Section = {"compression": "int8"}
FEEDBACK: Section = INT8 | {"int8_error_feedback": True}
NODES: dict[str, Section] = {
    "2 + 2": {"hierarchical": True, "ranks_per_node": 2},
    "3 + 1": {"hierarchical": True, "ranks_per_node": 3},
    "one machine": {"hierarchical": True},
    "a rank each": {"hierarchical": True, "ranks_per_node": 1},
}


def powersgd(rank: int, start: int = 2) -> Section:
    return {"compression": "powersgd", "powersgd_rank": rank, "powersgd_start": start}


STEPS = 4
SEED = 5
"""Of what compression draws."""
EXPERIMENTS: dict[int, dict[str, Section]] = {
    2: {
        **WHOLE,
        **ROUNDED,
        "factors": powersgd(2),
        "factors later": powersgd(2, STEPS),
        "one column": powersgd(1, 1),
        "one column, buckets": powersgd(1, 1) | BUCKETS,
        "int8": INT8,
        "int8, feedback": FEEDBACK,
        "int8, feedback, buckets": FEEDBACK | BUCKETS,
    },
    4: {
        **WHOLE,
        **NODES,
        **{f"{name}, 2 + 2": ROUNDED[name] | NODES["2 + 2"] | BUCKETS for name in ROUNDED},
        "factors, 3 + 1": powersgd(4) | NODES["3 + 1"] | BUCKETS,
        "one column": powersgd(1, 1),
        "one column, 2 + 2": powersgd(1, 1) | NODES["2 + 2"] | BUCKETS,
        "int8": INT8,
        "int8, feedback, 2 + 2": FEEDBACK | NODES["2 + 2"] | BUCKETS,
    },
}
"""Number of ranks -> ways to average the gradients of a small network."""
CONTINUED = {
    2: ("one column", "one column, buckets", "int8", "int8, feedback, buckets"),
    4: ("one column", "one column, 2 + 2", "int8", "int8, feedback, 2 + 2"),
}
"""Those that are stopped before the last step, and go on from what a checkpoint holds."""
DESCENTS: dict[int, dict[str, Section]] = {
    2: {"none": {}, "one column": powersgd(1, 0), "int8": INT8, "int8, feedback": FEEDBACK},
    4: {
        "none": {},
        "one column": powersgd(1, 0) | NODES["3 + 1"],
        "int8": INT8 | NODES["3 + 1"],
        "int8, feedback": FEEDBACK | NODES["3 + 1"],
    },
}
"""Number of ranks -> ways to find the minimum of a quadratic form."""
RUNS: dict[int, dict[str, Section]] = {
    2: {
        **WHOLE,
        "buckets": {"bucket_mb": 0.004},
        **ROUNDED,
        "factors": powersgd(2),
        "int8": INT8,
        "feedback": FEEDBACK,
    },
    4: {"2 + 2": NODES["2 + 2"]},
}
"""Number of ranks -> ways to train."""
LONG = {2: ("default", "factors", "int8", "feedback"), 4: ()}
"""Those of them that train until the loss hardly falls any more."""
LONG_EPOCHS = 8
RESUMED = {2: ("fp16", "factors", "int8", "feedback"), 4: ("2 + 2",)}
SMALL, LARGE = 24, 400
"""Widths of a network with a thousand weights, and of one whose gradients fill two of torch's own buckets."""
TRAINING = {"precision": "fp64", "optimizer": {"lr": 0.005}}
UPDATES = 20
"""Steps an epoch."""


@dataclass(frozen=True)
class Outcome:
    """What so many ranks left behind.

    Attributes
    ----------
    steps : for each rank: experiment -> gradients, bytes sent, number of buckets and of waits of each step
    descents : experiment -> distance to the minimum after each step
    runs : folder of the runs; those resumed are in its subfolder "resumed", long ones in "long"
    """

    steps: list[dict[str, dict[str, list]]]
    descents: dict[str, list[float]]
    runs: Path

    @property
    def world_size(self) -> int:
        return len(self.steps)


def run_ranks(world_size: int, dataset: Path, out: Path) -> Outcome:
    store = local_store()
    # Forked from a process that has imported this module, which is faster than importing it in each.
    multiprocessing.get_context("forkserver").set_forkserver_preload([__name__])
    mp.start_processes(work, (world_size, store.port, dataset, out), nprocs=world_size, start_method="forkserver")
    steps = [torch.load(out / f"{rank}.pt", weights_only=True) for rank in range(world_size)]
    return Outcome(steps, torch.load(out / "descents.pt", weights_only=True), out)


def work(rank: int, world_size: int, port: int, dataset: Path, out: Path) -> None:
    torch.set_num_threads(1)
    ranks = Ranks(rank, world_size, rank, "torchrun")
    with process_group(ranks, CPU, store=dist.TCPStore("127.0.0.1", port)):
        for name, section in RUNS[world_size].items():
            assert train(make_job(ranks, dataset, out / name, section))
        for name in LONG[world_size]:
            section = RUNS[world_size][name]
            assert train(make_job(ranks, dataset, out / "long" / name, section, LONG_EPOCHS))
        for name in RESUMED[world_size]:
            job = make_job(ranks, dataset, out / "resumed" / name, RUNS[world_size][name])
            assert not train(job, time_limit=0.0)
            assert train(job)
        steps = {name: take_steps(rank, SMALL, section) for name, section in EXPERIMENTS[world_size].items()}
        for name in CONTINUED[world_size]:
            steps[f"{name}, continued"] = continue_steps(rank, EXPERIMENTS[world_size][name], out / "compressor.pt")
        descents = {name: descend(rank, section) for name, section in DESCENTS[world_size].items()}
        if rank == 0:
            torch.save(descents, out / "descents.pt")
        if world_size == 2:
            steps |= {f"{name}, large": take_steps(rank, LARGE, section) for name, section in WHOLE.items()}
            steps["same again"] = take_steps(rank, SMALL, powersgd(1), [0] * 40)
            for name, section in {"factors": powersgd(1, 0), "int8": FEEDBACK}.items():
                steps[f"{name}, zeros first"] = take_steps(rank, SMALL, section, [ZERO, ZERO, 0, 1])
                steps[f"{name}, no zeros"] = take_steps(rank, SMALL, section, [0, 1])
            steps["other ranks"] = {"errors": other_ranks()}
            steps["deserted"] = deserted(rank)
        torch.save(steps, out / f"{rank}.pt")


def make_job(ranks: Ranks, dataset: Path, folder: Path, section: Section, epochs: int = 2) -> Job:
    """16 graphs a step on any number of ranks; without batch statistics, which each rank takes of its own graphs."""
    training = TRAINING | {"epochs": epochs, "batch_size": 16 // ranks.world_size, "communication": section}
    config = RunConfig.model_validate(run_config(dataset, training=training, model={"norm": "layer"}))
    store = open_store(dataset)
    return Job(config, RunFolder(folder), store, choose_task(config, store.info), ranks, CPU)


def train(job: Job, time_limit: float | None = None) -> bool:
    job.prepare(resume=True, force=False)
    return job.train_member(0, StopRequest(time_limit), Watcher(False))


class PhaseCounter(PhaseTimer):
    """Counts how often it is told the time of each phase."""

    def __init__(self) -> None:
        super().__init__(CPU)
        self.counts: Counter[str] = Counter()

    def add(self, name: str, seconds: float) -> None:
        super().add(name, seconds)
        self.counts[name] += 1


def small_network(width: int, dtype: torch.dtype) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, width - 4)).to(dtype)


ZERO = -1
"""In place of a seed: a loss whose gradient is zero."""


def backward(network: nn.Module, width: int, dtype: torch.dtype, rank: int, seed: int) -> None:
    """Of a batch of one row, so that the gradient of a weight matrix has rank one."""
    torch.manual_seed(1000 * rank + max(seed, 0))
    loss = network(torch.randn(1, width, dtype=dtype)).square().sum()
    (loss * (seed != ZERO)).backward()


def dtype_of(section: Section) -> torch.dtype:
    return torch.float32 if section.get("compression") in (*ROUNDED, "int8") else torch.float64


def take_steps(rank: int, width: int, section: Section, seeds: list[int] | None = None) -> dict[str, list]:
    return Averaging(rank, width, section).steps(seeds or list(range(STEPS)))


class Averaging:
    """A small network, and how this rank averages its gradients with those of the others."""

    def __init__(self, rank: int, width: int, section: Section):
        self.rank, self.width, self.dtype = rank, width, dtype_of(section)
        self.timer, self.sent = PhaseCounter(), Counter()
        self.network = small_network(width, self.dtype)
        config = CommunicationConfig.model_validate(section)
        self.parallel = data_parallel(self.network, config, self.timer, self.sent, seed=SEED)

    def steps(self, seeds: list[int]) -> dict[str, list]:
        result: dict[str, list] = {"gradients": [], "sent": [], "buckets": [], "waits": []}
        for seed in seeds:
            self.sent.clear()
            self.timer.counts.clear()
            backward(self.parallel, self.width, self.dtype, self.rank, seed)
            result["gradients"].append([parameter.grad.clone() for parameter in self.network.parameters()])
            result["sent"].append(dict(self.sent))
            result["buckets"].append(self.timer.counts["all_reduce"])
            result["waits"].append(self.timer.counts["exposed"])
            self.network.zero_grad(set_to_none=True)
        return result


def continue_steps(rank: int, section: Section, path: Path) -> dict[str, list]:
    """The last of STEPS steps, of a network made anew that has what a checkpoint holds of the steps before."""
    first = Averaging(rank, SMALL, section)
    first.steps(list(range(STEPS - 1)))
    state = first.parallel.compressor.state_dict()
    if rank == 0:
        checkpoint.save(state, path)
    dist.barrier()
    again = Averaging(rank, SMALL, section)
    again.parallel.compressor.load_state_dict(checkpoint.load(path))
    dist.barrier()
    return again.steps([STEPS - 1])


def other_ranks() -> list[float]:
    """The mean and the largest difference of errors when two ranks go on from the errors 1, 2, 3 of three."""
    compressor = Averaging(0, SMALL, powersgd(1)).parallel.compressor
    errors = torch.arange(1.0, 4.0, dtype=torch.float64)[:, None].expand(3, len(compressor.errors))
    shared = torch.ones_like(compressor.shared)
    compressor.load_state_dict({"compression": "powersgd", "step": 7, "errors": errors, "shared": shared})
    assert compressor.step == 7 and torch.equal(compressor.shared, shared)
    with pytest.raises(HydrasurrError, match="the memory of compression 'powersgd'.* not that of 'int8' here"):
        Averaging(0, SMALL, FEEDBACK).parallel.compressor.load_state_dict(
            {"compression": "powersgd", "step": 7, "errors": errors, "shared": shared}
        )
    return [float(compressor.errors.mean()), float((compressor.errors - compressor.errors[0]).abs().max())]


SLOPE, DESCENT = 0.04, 400
"""Learning rate and number of steps to the minimum of a quadratic form."""


def descend(rank: int, section: Section) -> list[float]:
    """Distance to the minimum of the mean over ranks of sum h (x - a)^2 / 2, with h in [1, 3] and a of each rank's own.

    At the minimum the gradient of each rank is not zero, but their mean is.
    """
    world_size = dist.get_world_size()
    torch.manual_seed(0)
    h = 1 + 2 * torch.rand(world_size, 16, 20, dtype=torch.float64)
    a = torch.randn(world_size, 16, 20, dtype=torch.float64)
    minimum = (h * a).sum(0) / h.sum(0)
    network = nn.Linear(20, 16, bias=False, dtype=torch.float64)
    nn.init.zeros_(network.weight)
    config = CommunicationConfig.model_validate(section)
    parallel = data_parallel(network, config, PhaseTimer(CPU), Counter(), seed=SEED)
    optimizer = torch.optim.SGD(network.parameters(), lr=SLOPE)
    unit, distances = torch.eye(20, dtype=torch.float64), []
    for _ in range(DESCENT):
        optimizer.zero_grad()
        (h[rank] * (parallel(unit).T - a[rank]).square() / 2).sum().backward()
        optimizer.step()
        distances.append(float((network.weight.detach() - minimum).norm() / minimum.norm()))
    return distances


def deserted(rank: int) -> dict[str, list]:
    """Rank 1 is gone when rank 0 wants to average; what rank 0 is told."""
    network = small_network(SMALL, torch.float64)
    parallel = data_parallel(network, CommunicationConfig(), PhaseTimer(CPU), Counter())
    if rank == 1:
        return {}
    with pytest.raises(RuntimeError) as error:
        backward(parallel, SMALL, torch.float64, rank, 0)
    return {"error": [str(error.value)]}
