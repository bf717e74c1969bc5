"""How a reward service fares."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

LAST = 10_000
"""So many of the last calls or batches are remembered for medians."""


def _remembered() -> deque[float]:
    return deque(maxlen=LAST)


@dataclass
class Statistics:
    """What a service has done.

    Attributes
    ----------
    calls : requests, each for a batch of molecules
    asked : molecules of all requests
    evaluated : different molecules evaluated; the rest was known, or twice in one batch
    batches : evaluations
    latency, queueing : seconds, of the last calls: from arrival to answer, and until their evaluation began
    sizes : molecules, of the last evaluations
    """

    calls: int = 0
    asked: int = 0
    evaluated: int = 0
    batches: int = 0
    latency: deque[float] = field(default_factory=_remembered, repr=False)
    queueing: deque[float] = field(default_factory=_remembered, repr=False)
    sizes: deque[float] = field(default_factory=_remembered, repr=False)

    def note_call(self, asked: int, latency: float, queueing: float = 0.0) -> None:
        self.calls += 1
        self.asked += asked
        self.latency.append(latency)
        self.queueing.append(queueing)

    def note_evaluation(self, evaluated: int) -> None:
        self.batches += 1
        self.evaluated += evaluated
        self.sizes.append(evaluated)

    @property
    def hit_rate(self) -> float:
        """Part of the molecules asked for that needed no evaluation."""
        return 1 - self.evaluated / self.asked if self.asked else 0.0

    def summary(self) -> dict[str, float]:
        """For logs and reports; latencies and queueing times in ms."""
        latency, queueing = (_quantiles(1000 * seconds for seconds in times) for times in (self.latency, self.queueing))
        return {
            "calls": self.calls,
            "asked": self.asked,
            "evaluated": self.evaluated,
            "hit_rate": self.hit_rate,
            "batches": self.batches,
            "batch_size_median": _quantiles(self.sizes)[0],
            "latency_ms_median": latency[0],
            "latency_ms_p95": latency[1],
            "queueing_ms_median": queueing[0],
            "queueing_ms_p95": queueing[1],
        }


def _quantiles(values: Iterable[float]) -> tuple[float, float]:
    """Median and 95th percentile; 0 of nothing."""
    given = np.array(list(values))
    return (float(np.median(given)), float(np.percentile(given, 95))) if len(given) else (0.0, 0.0)
