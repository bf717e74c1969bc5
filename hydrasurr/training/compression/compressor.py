"""What all ways to send gradients have in common: whose they are, the step, and the memory between steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from hydrasurr.errors import HydrasurrError
from hydrasurr.training.gradient_group import GradientGroup


class Parameters:
    """The parameters of a network, by number, in its own order.

    DDP puts them in another order and into other buckets after its first step, and begins anew after a restart. What
    is remembered from step to step therefore belongs to parameters and not to places in buckets.
    """

    def __init__(self, network: nn.Module):
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.shapes = [parameter.shape for parameter in trained]
        self.device = trained[0].device
        self.dtype = torch.float64 if any(p.dtype == torch.float64 for p in trained) else torch.float32
        self._number = {parameter: number for number, parameter in enumerate(trained)}  # tensors hash by identity

    def in_bucket(self, bucket: dist.GradBucket) -> list[int]:
        """Their numbers, in the order of the bucket's buffer."""
        return [self._number[parameter] for parameter in bucket.parameters()]


class Compressor(ABC):
    """Averages gradients over all ranks, and remembers what it has not sent.

    Attributes
    ----------
    step : averages of whole gradients so far
    errors : [n], what is to be added to the next gradient of this rank. What counts is its mean over the ranks.
    shared : [m], what is the same on all ranks
    """

    def __init__(self, name: str, group: GradientGroup, parameters: Parameters, step: int):
        self.name, self.group, self.parameters, self.step = name, group, parameters, step
        self.errors = torch.zeros(0, dtype=parameters.dtype, device=parameters.device)
        self.shared = torch.zeros_like(self.errors)

    def average(self, bucket: dist.GradBucket) -> None:
        """Put the mean over all ranks in the place of the bucket's gradients; called by all ranks together."""
        self._average(bucket)
        self.step += bucket.is_last()

    @abstractmethod
    def _average(self, bucket: dist.GradBucket) -> None: ...

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint, between steps; called by all ranks together. That of rank 0 has the errors of all ranks.

        These are as many numbers as there are gradients on all ranks together.
        """
        own = self.errors.cpu()
        everyone = [torch.empty_like(own) for _ in range(self.group.size)] if self.group.rank == 0 else None
        if own.numel():
            dist.gather(own, everyone)
        errors = torch.stack(everyone) if everyone is not None else None
        return {"compression": self.name, "step": self.step, "errors": errors, "shared": self.shared.cpu().clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the state of rank 0, which every rank is given.

        Where there are as many ranks as then, each has its own errors again, else all have their mean.
        """
        errors, shared = state["errors"], state["shared"]
        if (state["compression"], errors[0].shape, shared.shape) != (self.name, self.errors.shape, self.shared.shape):
            raise HydrasurrError(
                f"the checkpoint has the memory of compression '{state['compression']}' ({errors.shape[1]:,} errors, "
                f"{len(shared):,} shared numbers), which is not that of '{self.name}' here ({len(self.errors):,}, "
                f"{len(self.shared):,}); go on with the network and the configuration it was written with"
            )
        self.step = state["step"]
        self.shared.copy_(shared)
        self.errors.copy_(errors[self.group.rank] if len(errors) == self.group.size else errors.mean(0))
