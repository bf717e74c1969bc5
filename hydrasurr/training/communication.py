"""How ranks average their gradients: in buckets, whole or compressed, beside the backward pass."""

# No `from __future__ import annotations`: DDP compares the annotations of its hook with types.

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.futures import Future
from torch.nn.parallel import DistributedDataParallel

from hydrasurr.training.compression.compressor import Compressor, Parameters
from hydrasurr.training.compression.int8 import Int8
from hydrasurr.training.compression.powersgd import PowerSGD
from hydrasurr.training.compression.rounded import Rounded
from hydrasurr.training.config import CommunicationConfig
from hydrasurr.training.gradient_group import GradientGroup, find_nodes
from hydrasurr.training.timing import PhaseTimer


class DataParallel(DistributedDataParallel):
    """A network whose gradients are averaged over all ranks by `compressor`, which has a state for checkpoints."""

    compressor: Compressor


def data_parallel(
    network: nn.Module,
    config: CommunicationConfig,
    timer: PhaseTimer,
    sent: Counter[str],
    updates: int = 0,
    seed: int = 0,
) -> DataParallel:
    """`network` with gradients that are averaged over all ranks; called by all ranks together.

    Parameters
    ----------
    timer : told the time of each bucket as "all_reduce", and what the backward pass waits for at its end as "exposed"
    sent : bytes of gradients sent, added to as GradientGroup says
    updates : steps of the optimizer before now, in a run that goes on
    seed : of what compression draws at random; the same on all ranks
    """
    parameters = Parameters(network)
    device = parameters.device
    overlap = config.overlap
    if overlap is None:
        overlap = device.type == "cuda" or config.bucket_mb is not None
    whole_mb = sum(parameter.nbytes for parameter in network.parameters()) / 2**20 + 1
    parallel = DataParallel(
        network,
        bucket_cap_mb=config.bucket_mb if overlap else whole_mb,
        gradient_as_bucket_view=True,
        broadcast_buffers=False,  # those of rank 0 count, and others need them in evaluation only: see `share_buffers`
    )
    group = GradientGroup(find_nodes(config.ranks_per_node) if config.hierarchical else [], sent)
    parallel.compressor = _compressor(config, group, parameters, updates, seed)
    parallel.register_comm_hook(BucketQueue(parallel.compressor.average, device, timer), _average_in_queue)
    return parallel


def _compressor(
    config: CommunicationConfig, group: GradientGroup, parameters: Parameters, updates: int, seed: int
) -> Compressor:
    common = config.compression, group, parameters, updates
    match config.compression:
        case "none":
            return Rounded(*common)
        case "fp16":
            return Rounded(*common, torch.float16)
        case "bf16":
            return Rounded(*common, torch.bfloat16)
        case "int8":
            return Int8(*common, config.int8_error_feedback, seed)
        case "powersgd":
            return PowerSGD(*common, config.powersgd_rank, config.powersgd_start, seed)


def share_buffers(network: nn.Module) -> None:
    """Give every rank the buffers of rank 0, such as the running statistics of batch norms; called by all ranks."""
    for buffer in network.buffers():
        dist.broadcast(buffer, 0)


class BucketQueue:
    """Averages buckets one after another beside the backward pass: in a thread on CPUs, on a stream on GPUs.

    One after another, because an average can take several collectives (PowerSGD: two) that all ranks must call in
    the same order. Gloo alone would go on with whichever bucket its threads finish first.
    """

    def __init__(self, average: Callable[[dist.GradBucket], None], device: torch.device, timer: PhaseTimer):
        self._average, self._timer = average, timer
        on_cuda = device.type == "cuda"
        self._devices = [device] if on_cuda else None
        self._stream = torch.cuda.Stream(device) if on_cuda else None
        self._thread = None if on_cuda else ThreadPoolExecutor(1, "gradients")

    def put(self, bucket: dist.GradBucket) -> Future[Tensor]:
        """The averaged bucket, later; an error on the way is raised by the backward pass that waits for it."""
        averaged = Future(devices=self._devices)
        # With the last bucket the backward pass has computed all gradients; from now on it waits.
        stop = self._timer.start("exposed") if bucket.is_last() else None
        if self._thread:
            self._thread.submit(self._run, bucket, averaged, stop)
        else:
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                self._run(bucket, averaged, stop)
        return averaged

    def _run(self, bucket: dist.GradBucket, averaged: Future[Tensor], stop: Callable[[], None] | None) -> None:
        try:
            with torch.no_grad(), self._timer.phase("all_reduce"):
                self._average(bucket)
            if stop is not None:
                stop()
            averaged.set_result(bucket.buffer())
        except Exception as error:
            averaged.set_exception(error)


def _average_in_queue(queue: BucketQueue, bucket: dist.GradBucket) -> Future[Tensor]:
    return queue.put(bucket)
