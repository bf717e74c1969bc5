"""How ranks average their gradients: in buckets, whole or compressed, beside the backward pass."""

# No `from __future__ import annotations`: DDP compares the annotations of its hook with types.

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import (
    allreduce_hook,
    bf16_compress_hook,
    fp16_compress_hook,
)
from torch.distributed.algorithms.ddp_comm_hooks.powerSGD_hook import PowerSGDState, powerSGD_hook
from torch.futures import Future
from torch.nn.parallel import DistributedDataParallel

from hydrasurr.training.config import CommunicationConfig
from hydrasurr.training.gradient_group import GradientGroup, find_nodes
from hydrasurr.training.timing import PhaseTimer

Average = Callable[[dist.GradBucket], Future[Tensor]]


def data_parallel(
    network: nn.Module, config: CommunicationConfig, timer: PhaseTimer, sent: Counter[str], updates: int = 0
) -> DistributedDataParallel:
    """`network` with gradients that are averaged over all ranks; called by all ranks together.

    Parameters
    ----------
    timer : told the time of each bucket as "all_reduce"
    sent : bytes of gradients sent, added to as GradientGroup says
    updates : steps of the optimizer before now, in a run that goes on
    """
    device = next(network.parameters()).device
    overlap = config.overlap
    if overlap is None:
        overlap = device.type == "cuda" or config.bucket_mb is not None
    whole_mb = sum(parameter.nbytes for parameter in network.parameters()) / 2**20 + 1
    parallel = DistributedDataParallel(
        network,
        bucket_cap_mb=config.bucket_mb if overlap else whole_mb,
        gradient_as_bucket_view=True,
        broadcast_buffers=False,  # those of rank 0 count, and others need them in evaluation only: see `share_buffers`
    )
    group = GradientGroup(find_nodes(config.ranks_per_node) if config.hierarchical else [], sent)
    parallel.register_comm_hook(BucketQueue(_average(config, group, updates), device, timer), _average_in_queue)
    return parallel


def _average(config: CommunicationConfig, group: GradientGroup, updates: int) -> Average:
    """torch's hook for this compression."""
    match config.compression:
        case "none":
            return partial(allreduce_hook, group)
        case "fp16":
            return partial(fp16_compress_hook, group)
        case "bf16":
            return partial(bf16_compress_hook, group)
    state = PowerSGDState(
        group,
        matrix_approximation_rank=config.powersgd_rank,
        # DDP settles its buckets, which the memory of errors follows, in the first two steps after each start.
        start_powerSGD_iter=max(config.powersgd_start - updates, 2),
        orthogonalization_epsilon=1e-8,  # a gradient may be zero
    )
    return partial(powerSGD_hook, state)


def share_buffers(network: nn.Module) -> None:
    """Give every rank the buffers of rank 0, such as the running statistics of batch norms; called by all ranks."""
    for buffer in network.buffers():
        dist.broadcast(buffer, 0)


class BucketQueue:
    """Averages buckets one after another beside the backward pass: in a thread on CPUs, on a stream on GPUs.

    One after another, because an average can take several collectives (PowerSGD: three) that all ranks must call in
    the same order. Gloo alone would go on with whichever bucket its threads finish first.
    """

    def __init__(self, average: Average, device: torch.device, timer: PhaseTimer):
        self._average, self._timer = average, timer
        self._devices = [device] if device.type == "cuda" else None
        self._thread = None if self._devices else ThreadPoolExecutor(1, "gradients")

    def put(self, bucket: dist.GradBucket) -> Future[Tensor]:
        """The averaged bucket, later; an error on the way is raised by the backward pass that waits for it."""
        ready = Future(devices=self._devices)
        averaged = ready.then(lambda _: self._timed_average(bucket))  # on CUDA: on a stream of its own
        if self._thread:
            self._thread.submit(ready.set_result, bucket.buffer())
        else:
            ready.set_result(bucket.buffer())
        return averaged

    def _timed_average(self, bucket: dist.GradBucket) -> Tensor:
        with self._timer.phase("all_reduce"):
            return self._average(bucket).wait()


def _average_in_queue(queue: BucketQueue, bucket: dist.GradBucket) -> Future[Tensor]:
    return queue.put(bucket)
