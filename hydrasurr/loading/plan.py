"""Which graphs a rank sees in an epoch, and in what order: pure functions of (seed, epoch, rank, world size).

Every rank gets `L = N // W` graphs of a split of `N`: shares are disjoint and equally long, and together
they are the whole split but for the `N mod W` graphs that the epoch's shuffle put last; another epoch leaves
out others. All batches have `batch_size` graphs, the last one the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hydrasurr.graphs.table import ranges
from hydrasurr.loading.permutation import permutation

_GRAPHS_AT_ONCE = 1 << 16
"""Graphs whose places are looked up together: enough to be fast, few enough to fit the cache."""


@dataclass(frozen=True)
class Share:
    """A rank's place among `world_size` ranks."""

    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world_size:
            raise ValueError(f"rank {self.rank} outside a world of {self.world_size}")

    def contiguous(self, size: int) -> tuple[int, int]:
        """`start, stop` of this rank's part of `range(size)`: nothing repeated, nothing left out."""
        return size * self.rank // self.world_size, size * (self.rank + 1) // self.world_size


def steps_per_epoch(graphs: int, batch_size: int, share: Share) -> int:
    """Batches a rank sees in an epoch, the same on every rank."""
    return -(-(graphs // share.world_size) // batch_size)


def exact_batches(
    graphs: int, batch_size: int, share: Share, seed: int, epoch: int, first_step: int = 0
) -> Iterator[np.ndarray]:
    """Indices of each batch under an exact global shuffle.

    Step `s` of all ranks together is one run of the global permutation, so `W` ranks with batches of `B`
    see in each step the same graphs as one rank with batches of `W B`. Needs about 10 MB, however large the split.
    """
    length, steps = graphs // share.world_size, steps_per_epoch(graphs, batch_size, share)
    order = permutation(graphs, (seed, epoch))
    at_once = max(1, _GRAPHS_AT_ONCE // batch_size)
    for first in range(first_step, steps, at_once):
        step = np.arange(first, min(first + at_once, steps))
        sizes = np.minimum(batch_size, length - step * batch_size)
        starts = step * batch_size * share.world_size + share.rank * sizes
        yield from np.split(order(ranges(starts, sizes)), np.cumsum(sizes)[:-1])


@dataclass(frozen=True)
class Window:
    """Graph ranges read together and shuffled among themselves; they are positions `start:stop` of the share."""

    start: int
    stop: int
    ranges: tuple[tuple[int, int], ...]
    seed: tuple[int, ...]

    def shuffle(self) -> np.ndarray:
        """int64: at each position of the window, which of the graphs read (counted along `ranges`)."""
        return np.random.default_rng(self.seed).permutation(self.stop - self.start)


def block_windows(
    block_offset: np.ndarray, share: Share, seed: int, epoch: int, buffer_graphs: int
) -> Iterator[Window]:
    """The rank's share as windows of at least `buffer_graphs` graphs (the last may be smaller).

    All blocks of the split are laid end to end in an order drawn from (seed, epoch); the ranks cut this line
    into equal parts, through blocks where need be, so any world size works. A rank then reads a few whole
    blocks from all over the split at a time and shuffles within them. Needs memory for the blocks, not for
    the graphs: 1e9 graphs in blocks of 8,192 cost 1 MB an array.

    How well this mixes: the mean of a property of variance s^2 over a batch of `b` graphs has the variance
    s^2 / b after an exact shuffle, and at most s^2 (1 / b + 1 / k) with windows of `k` blocks. The bound is met
    if each block holds equal graphs, as when the table is sorted by that property.
    """
    sizes = np.diff(block_offset)
    order = np.random.default_rng((seed, epoch)).permutation(len(sizes))
    line = np.concatenate([[0], np.cumsum(sizes[order])])
    length = int(line[-1]) // share.world_size
    first, last = share.rank * length, (share.rank + 1) * length

    block = int(np.searchsorted(line, first, side="right")) - 1
    start = position = 0
    ranges: list[tuple[int, int]] = []
    while position < length:
        begin, end = max(first, int(line[block])), min(last, int(line[block + 1]))
        if end > begin:
            shift = int(block_offset[order[block]] - line[block])
            ranges.append((begin + shift, end + shift))
            position += end - begin
        block += 1
        if position - start >= buffer_graphs or position == length:
            yield Window(start, position, tuple(ranges), (seed, epoch, share.rank, start))
            start, ranges = position, []
