"""Measurements that were computed: what is behind them is known."""

from __future__ import annotations

import numpy as np

from hydrasurr.scaling.allreduce import AllReduceTimes, message_sizes
from hydrasurr.scaling.analysis import Measurements
from hydrasurr.scaling.models import MODELS
from hydrasurr.scaling.record import Point, RankTimes

GRADIENT = 1_150_000
FIXED, PER_GRAPH = 2e-3, 1e-4
"""Seconds of a step that do and do not depend on the number of graphs."""
ALPHA, BETA = 3e-5, 1e-9
NODES = 18


def measurements(
    ranks: tuple[int, ...] = (2, 4, 8), batch: int = 128, model: str = "ring", noise: float = 0.0, seed: int = 0
) -> Measurements:
    """A run whose steps take FIXED + PER_GRAPH graphs, and whose all-reduce follows a model with ALPHA and BETA.

    Molecules are of one size, so no rank waits for another; `noise` is the relative deviation of every time.
    """
    generator = np.random.default_rng(seed)

    def noisy(value: float) -> float:
        return float(value * (1 + noise * generator.standard_normal()))

    def reduce(count: int, size: float) -> float:
        return float(MODELS[model].seconds(count, size, ALPHA, BETA))

    def times(graphs: int, communication: float) -> RankTimes:
        step = FIXED + PER_GRAPH * graphs
        backward = 0.5 * step + communication
        phases = {"load": 0.05 * step, "forward": 0.3 * step, "backward": backward, "optimizer": 0.1 * step}
        seconds = [[noisy(step + communication)] * 4 for _ in range(5)]
        return RankTimes(seconds, [[NODES * graphs] * 4] * 5, {name: [value] * 5 for name, value in phases.items()})

    def point(kind: str, count: int, graphs: int) -> Point:
        alone = [times(graphs, 0.0)] * count
        together = [times(graphs, reduce(count, GRADIENT))] * count if count > 1 else alone
        return Point(kind, count, graphs, alone, together)

    points = [point("single", 1, batch // part) for part in (1, 2, 4)]
    points += [point("strong", count, batch // count) for count in ranks]
    points += [point("weak", count, batch) for count in ranks]
    sizes = message_sizes(GRADIENT, 64)
    reductions = [
        AllReduceTimes(count, size, [noisy(reduce(count, size)) for _ in range(5)]) for count in ranks for size in sizes
    ]
    return Measurements(points, reductions, GRADIENT, 100_000)
