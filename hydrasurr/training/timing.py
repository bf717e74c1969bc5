"""Where the time of training goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

PHASES = ("load", "forward", "backward", "all_reduce", "exposed", "optimizer")
WITHIN_BACKWARD = ("all_reduce", "exposed")
"""Phases that are parts of another one."""


class PhaseTimer:
    """Seconds spent in each phase since the last `take`.

    On CUDA, phases are measured with events on the stream, which does not make the host wait. `all_reduce` is
    the time of averaging the buckets of gradients; it overlaps with `backward`, of which it is a part. `exposed` is
    the part of it that nothing overlaps: the backward pass has computed all gradients and waits for their averages.
    """

    def __init__(self, device: torch.device):
        self._cuda = device.type == "cuda"
        self._seconds = dict.fromkeys(PHASES, 0.0)
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        stop = self.start(name)
        yield
        stop()

    def start(self, name: str) -> Callable[[], None]:
        """Begin a phase on the current stream; calling what is returned ends it, on any stream and in any thread."""
        if not self._cuda or name == "load":
            began = time.perf_counter()
            return lambda: self.add(name, time.perf_counter() - began)
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()

        def end() -> None:
            stop.record()
            self._events.append((name, start, stop))

        return end

    def add(self, name: str, seconds: float) -> None:
        self._seconds[name] += seconds

    def take(self) -> dict[str, float]:
        """Seconds of each phase, and start again from zero."""
        if self._events:
            torch.cuda.synchronize()
            for name, start, stop in self._events:
                self.add(name, start.elapsed_time(stop) / 1000)
            self._events.clear()
        seconds, self._seconds = self._seconds, dict.fromkeys(PHASES, 0.0)
        return seconds
