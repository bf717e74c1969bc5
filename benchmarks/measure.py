"""Rates of competing pieces of code, measured in turns."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass
class Timing:
    """Repeated measurements of one case."""

    items: int = 0
    """Handled in one repeat: molecules, graphs, steps."""
    wall: list[float] = field(default_factory=list)
    """Seconds of each repeat."""
    cpu: list[float] = field(default_factory=list)
    """CPU seconds of this process (all its threads) in each repeat."""

    @property
    def rate(self) -> float:
        """Items a second of wall time, median over repeats."""
        return self.items / statistics.median(self.wall)

    @property
    def cpu_rate(self) -> float:
        """Items a second of CPU time, median over repeats."""
        return self.items / statistics.median(self.cpu)

    def over(self, other: Timing, clock: str = "wall") -> float:
        """How many times faster than `other`: the median over rounds, in each of which both were measured."""
        pairs = zip(getattr(self, clock), getattr(other, clock), strict=True)
        return statistics.median(theirs / mine for mine, theirs in pairs) * self.items / other.items


def interleaved(
    cases: dict[str, Callable[[], int]],
    repeats: int,
    warmup: int = 1,
    before: Mapping[str, Callable[[], object]] = MappingProxyType({}),
) -> dict[str, Timing]:
    """Run all cases in turn, `repeats` rounds, so that a slow spell of the machine meets all of them.

    A case does its work and returns the number of items it handled; the first `warmup` rounds do not count. What is
    in `before` under the name of a case is called each time before it and not timed.
    """
    timings = {name: Timing() for name in cases}
    for turn in range(warmup + repeats):
        for name, case in cases.items():
            if name in before:
                before[name]()
            gc.collect()
            wall, cpu = time.perf_counter(), time.process_time()
            items = case()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            if turn >= warmup:
                timing = timings[name]
                timing.items = items
                timing.wall.append(wall)
                timing.cpu.append(cpu)
    return timings
