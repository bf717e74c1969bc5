"""Time of an all-reduce against the size of the message."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
import torch.distributed as dist

from hydrasurr.launcher import Ranks
from hydrasurr.scaling.record import Estimate

BLOCK_SECONDS = 0.02
"""A sample is the mean of as many all-reduces as take about this long, at most MOST."""
MOST = 50


@dataclass(frozen=True)
class AllReduceTimes:
    """Repeated timings of one message."""

    ranks: int
    bytes: int
    seconds: list[float]

    def estimate(self) -> Estimate:
        return Estimate.of(self.seconds)


def message_sizes(gradient: int, most_mb: float) -> list[int]:
    """1 KiB to `most_mb` MiB in factors of four, and the gradient's own size; bytes, all multiples of 4."""
    sizes = {4**power for power in range(5, 20) if 4**power <= most_mb * 2**20}
    return sorted(sizes | {-(-gradient // 4) * 4})


def measure_all_reduce(ranks: Ranks, device: torch.device, sizes: list[int], repeats: int) -> list[AllReduceTimes]:
    """Time sums of fp32 numbers over all of `ranks`, who call this together; the slowest rank counts.

    Sizes take turns, so that a disturbance of the machine does not fall on one of them alone.
    """
    messages = [torch.zeros(size // 4, device=device) for size in sizes]
    counts = []
    for message in messages:
        _seconds(message, 1, device)  # the first one opens connections
        counts.append(min(max(int(BLOCK_SECONDS / _seconds(message, 2, device)), 1), MOST))
    samples: list[list[float]] = [[] for _ in sizes]
    for _ in range(repeats):
        for message, count, kept in zip(messages, counts, samples, strict=True):
            kept.append(_seconds(message, count, device))
    return [AllReduceTimes(ranks.world_size, size, kept) for size, kept in zip(sizes, samples, strict=True)]


def _seconds(message: torch.Tensor, count: int, device: torch.device) -> float:
    """Of one all-reduce, the mean of `count`; the same number on all ranks."""
    dist.barrier()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    for _ in range(count):
        dist.all_reduce(message)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    slowest = torch.tensor((time.perf_counter() - start) / count, dtype=torch.float64)
    dist.all_reduce(slowest, op=dist.ReduceOp.MAX)
    return float(slowest)
