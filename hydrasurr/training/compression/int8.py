"""Gradients sent as bytes: rounded at random, so that their mean is right."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from hydrasurr.training.compression.compressor import Compressor, Parameters
from hydrasurr.training.gradient_group import GradientGroup

CHUNK = 256
"""Consecutive numbers of one parameter that share a scale."""
STEPS = 127
"""Values of a byte on each side of zero."""
SMALLEST = torch.finfo(torch.float32).tiny
"""Scale of a chunk of zeros, which no number is to be divided by."""


class Int8(Compressor):
    """Sends a byte for each number, and a scale in float32 for each chunk (as QSGD, Alistarh et al. 2017,
    arXiv:1610.02132, with the largest magnitude for its norm).

    Bytes cannot be added up without overflow: every rank gets those of all others and sums them in float32. By node,
    the ranks of one are summed in float32, and the sums of nodes are sent as bytes.

    Parameters
    ----------
    feedback : add what rounding changes to the next gradient
    seed : with rank and step it fixes the noise of rounding
    """

    def __init__(
        self, name: str, group: GradientGroup, parameters: Parameters, step: int, feedback: bool = False, seed: int = 0
    ):
        super().__init__(name, group, parameters, step)
        sizes = [shape.numel() for shape in parameters.shapes]
        ends = np.cumsum(sizes)
        device = parameters.device
        self._parts = [slice(int(end) - size, int(end)) for size, end in zip(sizes, ends, strict=True)]
        self._lengths = [torch.tensor(chunk_lengths(size), device=device) for size in sizes]
        self._seed, self._generator = seed, torch.Generator(device)
        self._noise, self._noise_step = torch.empty(sum(sizes), device=device), -1
        self.errors = torch.zeros(sum(sizes) if feedback else 0, device=device)

    def _average(self, bucket: dist.GradBucket) -> None:
        numbers = self.parameters.in_bucket(bucket)
        values = bucket.buffer().float()
        if not len(self.errors):
            self.group.sum(values, partial(self._exchange, numbers))
        else:
            values += self._of(self.errors, numbers)
            self._set_errors(numbers, torch.zeros_like(values))  # by node, errors of its sum are those of one rank
            self.group.sum(values, partial(self._exchange, numbers))
        bucket.buffer().copy_(values.div_(self.group.size))

    def _exchange(self, numbers: list[int], values: Tensor) -> None:
        """Sum over the ranks that use the network, in place, in the order of ranks."""
        lengths = torch.cat([self._lengths[number] for number in numbers])
        message = encode(values, lengths, self._of(self._noise_of_step(), numbers))
        if len(self.errors):
            self._set_errors(numbers, values - decode(message, lengths))
        values.zero_()
        for received in self.group.gather(message):
            values += decode(received, lengths)

    def _noise_of_step(self) -> Tensor:
        """Of all parameters, so that it does not depend on which bucket they are in."""
        if self._noise_step != self.step:
            self._generator.manual_seed(noise_seed(self._seed, self.group.rank, self.step))
            self._noise.uniform_(generator=self._generator)
            self._noise_step = self.step
        return self._noise

    def _of(self, flat: Tensor, numbers: list[int]) -> Tensor:
        return torch.cat([flat[self._parts[number]] for number in numbers])

    def _set_errors(self, numbers: list[int], errors: Tensor) -> None:
        parts = [self.errors[self._parts[number]] for number in numbers]
        for part, values in zip(parts, errors.split([len(part) for part in parts]), strict=True):
            part.copy_(values)


def noise_seed(seed: int, rank: int, step: int) -> int:
    return int(np.random.SeedSequence((seed, rank, step)).generate_state(1)[0])


def chunk_lengths(size: int) -> list[int]:
    """Of the chunks of a parameter with so many numbers; the last one may be shorter."""
    full, rest = divmod(size, CHUNK)
    return [CHUNK] * full + [rest] * (rest > 0)


def encode(values: Tensor, lengths: Tensor, noise: Tensor) -> Tensor:
    """The message for `values`: int8 `[4 chunks + n]`, first the scales, as the bytes of float32.

    Rounded up where the noise exceeds the distance to the next byte, which for uniform noise gives the value on
    average. The scale of a chunk that is not finite is not, nor are the numbers decoded from it.

    Parameters
    ----------
    values : float32 [n]
    lengths : int64 [chunks], numbers of each chunk
    noise : float32 [n], uniform in [0, 1)
    """
    largest = torch.segment_reduce(values.abs(), "max", lengths=lengths, unsafe=True)  # not checked: they add up to n
    scale = (largest / STEPS).clamp_min_(SMALLEST)
    rounded = (values / _spread(scale, lengths, len(values))).add_(noise).floor_().clamp_(-STEPS, STEPS)
    return torch.cat([scale.view(torch.int8), rounded.to(torch.int8)])


def decode(message: Tensor, lengths: Tensor) -> Tensor:
    """float32 [n] of a message."""
    scale, rounded = message.tensor_split([4 * len(lengths)])
    return rounded.float().mul_(_spread(scale.view(torch.float32), lengths, len(rounded)))


def _spread(scale: Tensor, lengths: Tensor, size: int) -> Tensor:
    return scale.repeat_interleave(lengths, output_size=size)
