"""Gradients sent as they are, or rounded to 16 bits."""

from __future__ import annotations

import torch
import torch.distributed as dist

from hydrasurr.training.compression.compressor import Compressor, Parameters
from hydrasurr.training.gradient_group import GradientGroup


class Rounded(Compressor):
    """Sums gradients as numbers of `dtype`; None: as they are."""

    def __init__(
        self, name: str, group: GradientGroup, parameters: Parameters, step: int, dtype: torch.dtype | None = None
    ):
        super().__init__(name, group, parameters, step)
        self._dtype = dtype

    def _average(self, bucket: dist.GradBucket) -> None:
        buffer = bucket.buffer().div_(self.group.size)  # before the sum, which fp16 may not hold
        message = buffer.to(self._dtype or buffer.dtype)
        self.group.sum(message)
        if message is not buffer:
            buffer.copy_(message)
