"""How ranks average their gradients."""

import time

import torch.distributed as dist
from torch import Tensor
from torch.futures import Future

from hydrasurr.training.timing import PhaseTimer


def timed_all_reduce(timer: PhaseTimer, bucket: dist.GradBucket) -> Future[Tensor]:
    """DDP's own averaging of a bucket of gradients, with its time told to `timer` as "all_reduce"."""
    start = time.perf_counter()
    gradients = bucket.buffer().div_(dist.get_world_size())

    def finished(future: Future) -> Tensor:
        timer.add("all_reduce", time.perf_counter() - start)
        return future.value()[0]

    return dist.all_reduce(gradients, async_op=True).get_future().then(finished)
