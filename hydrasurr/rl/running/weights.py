"""The weights of a network as one array with a version, on their way from a learner to its actors."""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
import torch
from torch import nn

HEADER = 8
"""Bytes of the version in front of the weights."""


@dataclass(frozen=True)
class Weights:
    """Attributes
    ----------
    version : of the learner that had them
    values : float32 `[n]`, all parameters and buffers of a network, in its order
    """

    version: int
    values: np.ndarray

    @classmethod
    def of(cls, network: nn.Module, version: int) -> Weights:
        parts = [tensor.detach().float().reshape(-1).cpu() for tensor in network.state_dict().values()]
        return cls(version, torch.cat(parts).numpy())

    def put_into(self, network: nn.Module) -> None:
        """Give a network of the same shape these weights."""
        values = torch.from_numpy(self.values)
        state = network.state_dict()
        parts = values.split([tensor.numel() for tensor in state.values()])
        for tensor, part in zip(state.values(), parts, strict=True):
            tensor.copy_(part.view(tensor.shape))


class SharedWeights:
    """Weights that all processes of this machine see; one process writes them.

    Two sets lie side by side: while the writer fills one, readers copy the other. Sent to another process, it is the
    same memory there.

    Parameters
    ----------
    size : numbers
    """

    def __init__(self, size: int):
        self.size, self._owner = size, True
        self._memory = SharedMemory(create=True, size=HEADER + 8 * size)
        self._map()
        self._version[0] = -1

    def __reduce__(self) -> tuple[Any, ...]:
        return _attach, (self.size, self._memory.name)

    def write(self, weights: Weights) -> None:
        self._sets[weights.version % 2] = weights.values
        self._version[0] = weights.version

    def read(self, known: int) -> Weights | None:
        """The newest weights; None if they are those of the version `known`."""
        while (version := int(self._version[0])) != known:
            values = self._sets[version % 2].copy()
            if int(self._version[0]) == version:  # else the writer may have begun to overwrite them
                return Weights(version, values)
        return None

    def close(self) -> None:
        """The last use on this process; the writer's frees the memory."""
        del self._version, self._sets
        self._memory.close()
        if self._owner:
            self._memory.unlink()

    def _map(self) -> None:
        self._version = np.ndarray(1, np.int64, self._memory.buf)
        self._sets = np.ndarray((2, self.size), np.float32, self._memory.buf, HEADER)


def _attach(size: int, name: str) -> SharedWeights:
    weights = SharedWeights.__new__(SharedWeights)
    weights.size, weights._owner, weights._memory = size, False, SharedMemory(name)
    weights._map()
    return weights
