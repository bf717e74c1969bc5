"""What sending takes between processes of this machine: all-reduces, and messages from rank to rank."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from hydrasurr.errors import HydrasurrError
from hydrasurr.launcher import Ranks
from hydrasurr.rl.environment.rules import Rules
from hydrasurr.rl.executors.pool import run_tasks
from hydrasurr.rl.policy.network import ActionNetwork
from hydrasurr.rl.running.config import PolicyModelConfig
from hydrasurr.rl.scheduling.tasks import Task
from hydrasurr.rl.study.folder import Facts
from hydrasurr.rl.study.settings import LinkSettings
from hydrasurr.scaling.allreduce import AllReduceTimes, measure_all_reduce, message_sizes
from hydrasurr.scaling.world import local_store
from hydrasurr.training.ranks import process_group

ROUND_TRIPS = 20
"""Of a message between two ranks, whose median counts."""


def gradient_bytes(model: PolicyModelConfig, rules: Rules) -> int:
    """Of a policy's gradient, fp32."""
    return 4 * sum(parameter.numel() for parameter in ActionNetwork(model, rules).parameters())


def measure_links(settings: LinkSettings, gradient: int) -> Facts:
    """Times of all-reduces, and for the most ranks the latency of a message as large as the gradient from each to each.

    `latency` is in seconds, `[from][to]`, None from a rank to itself.
    """
    sizes, rows, latency = message_sizes(gradient, settings.most_mb), [], []
    for size in settings.ranks:
        told = on_ranks(size, Measurement(sizes, settings.repeats, gradient if size == max(settings.ranks) else None))
        rows += [vars(times) for times in told[0][0]]
        if size == max(settings.ranks):
            latency = told[0][1]
    return {"gradient_bytes": gradient, "all_reduce": rows, "latency": latency}


def all_reduce_times(facts: Facts) -> list[AllReduceTimes]:
    """Of what `measure_links` found."""
    return [AllReduceTimes(**row) for row in facts["all_reduce"]]


def on_ranks(size: int, work: Callable[[Ranks], Any]) -> list[Any]:
    """`work` on `size` processes of this machine that form a process group; the values by rank.

    Raises HydrasurrError if one fails.
    """
    store = local_store()
    tasks = [Task(str(rank), (rank, size, store.port)) for rank in range(size)]
    values: list[Any] = [None] * size
    for result in run_tasks(OnRank(work), tasks, workers=size):
        if result.error is not None:
            raise HydrasurrError(f"links between {size} processes cannot be measured: {result.error}")
        values[result.task.payload[0]] = result.value
    return values


class OnRank:
    """Function of workers: does its work as a rank among others; each worker gets one."""

    def __init__(self, work: Callable[[Ranks], Any]):
        self.work = work

    def __call__(self, place: tuple[int, int, int]) -> Any:
        rank, size, port = place
        torch.set_num_threads(1)
        store = dist.TCPStore("127.0.0.1", port)
        with process_group(Ranks(rank, size, rank), torch.device("cpu"), timeout_minutes=5, store=store):
            return self.work(Ranks(rank, size, rank))


class Measurement:
    """What is measured on ranks: times of all-reduces, and with `message` bytes the latencies."""

    def __init__(self, sizes: list[int], repeats: int, message: int | None):
        self.sizes, self.repeats, self.message = sizes, repeats, message

    def __call__(self, ranks: Ranks) -> tuple[list[AllReduceTimes], list[list[float | None]]]:
        times = measure_all_reduce(ranks, torch.device("cpu"), self.sizes, self.repeats)
        return times, [] if self.message is None else self._latencies(ranks, self.message)

    def _latencies(self, ranks: Ranks, size: int) -> list[list[float | None]]:
        """Half of a round trip, seconds; on all ranks, though only the sender's times are right."""
        message = torch.zeros(max(size // 4, 1))
        rows: list[list[float | None]] = [[None] * ranks.world_size for _ in range(ranks.world_size)]
        for source in range(ranks.world_size):
            for target in range(ranks.world_size):
                dist.barrier()
                if source != target and ranks.rank in (source, target):
                    rows[source][target] = _half_round_trip(message, ranks.rank == source, source, target)
        told: list[Any] = [None] * ranks.world_size
        dist.all_gather_object(told, rows)
        return [told[source][source] for source in range(ranks.world_size)]


def _half_round_trip(message: torch.Tensor, first: bool, source: int, target: int) -> float:
    seconds = []
    for _ in range(ROUND_TRIPS):
        start = time.perf_counter()
        if first:
            dist.send(message, target)
            dist.recv(message, target)
        else:
            dist.recv(message, source)
            dist.send(message, source)
        seconds.append((time.perf_counter() - start) / 2)
    return float(np.median(seconds))
