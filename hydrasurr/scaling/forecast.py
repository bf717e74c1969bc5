"""Steps on more ranks than there are, from the cost of a rank's step and of an all-reduce, with error bars.

T(N) = T_comp + T_comm + T_wait (Eq. 11), where T_comp is a rank's step without peers, T_comm an all-reduce of the whole
gradient, none of it hidden behind the backward pass, and T_wait what the slowest of N ranks takes longer than the mean
because its molecules are larger. The errors of all parameters are propagated by random draws (a parametric bootstrap).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from hydrasurr.scaling.models import AllReduceModel
from hydrasurr.scaling.network import Level, all_reduce_seconds
from hydrasurr.scaling.record import Estimate, Point

DRAWS = 2001
"""The best values and 2,000 random draws."""

CONFIDENCE = 0.9


@dataclass(frozen=True)
class StepCost:
    """Seconds of a rank's step without peers, T_comp(b) = seconds - per_graph (graphs - b)."""

    graphs: int
    """Graphs of a rank and step to which the figures belong."""
    seconds: Estimate
    per_graph: Estimate
    """Seconds that a graph adds; the rest of a step does not depend on the number of graphs."""
    spread: float
    """Standard deviation (s) of a step between ranks because their molecules differ in size."""

    @classmethod
    def measured(cls, singles: Sequence[Point]) -> StepCost:
        """From steps of one rank with several batch sizes, through the one with most graphs."""
        *smaller, whole = sorted(singles, key=lambda point: point.graphs)
        seconds, nodes = whole.seconds(), whole.nodes()
        per_graph = _slope(whole, smaller) if smaller else seconds.times(1 / whole.graphs)
        spread = per_graph.value * whole.graphs * float(nodes.std() / nodes.mean())
        return cls(whole.graphs, seconds, per_graph, spread)

    def stated(self, seconds: float, fixed: float | None = None) -> StepCost:
        """The same step elsewhere: it takes `seconds`, of which `fixed` does not depend on the graphs (None: the same
        part as here)."""
        factor = seconds / self.seconds.value
        per_graph = self.per_graph.times(factor) if fixed is None else Estimate((seconds - fixed) / self.graphs, 0.0)
        spread = self.spread * per_graph.value / self.per_graph.value if self.per_graph.value else 0.0
        return StepCost(self.graphs, Estimate(seconds, 0.0), per_graph, spread)

    def draws(self, generator: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """`[count]` values of seconds and per_graph, the best ones first."""
        normal = generator.standard_normal((2, count))
        normal[:, 0] = 0
        seconds = np.maximum(self.seconds.value + self.seconds.error * normal[0], 0.01 * self.seconds.value)
        per_graph = self.per_graph.value + self.per_graph.error * normal[1]
        return seconds, np.clip(per_graph, 0, seconds / self.graphs)


def _slope(whole: Point, smaller: Sequence[Point]) -> Estimate:
    """Weighted least squares for the slope of a line through `whole`."""
    at = whole.seconds()
    less = np.array([whole.graphs - point.graphs for point in smaller], float)
    saved = np.array([at.value - point.seconds().value for point in smaller])
    noise = np.array([np.hypot(at.error, point.seconds().error) for point in smaller])
    weights = 1 / np.maximum(noise, 1e-6 * at.value) ** 2
    slope = float((weights * less * saved).sum() / (weights * less**2).sum())
    misfit = float((weights * (saved - slope * less) ** 2).sum() / max(len(less) - 1, 1))
    error = math.sqrt(max(misfit, 1.0) / float((weights * less**2).sum()))
    return Estimate(min(max(slope, 0.0), at.value / whole.graphs), error)


@dataclass(frozen=True)
class Band:
    """A forecast and the range that holds it with probability CONFIDENCE, as far as the model holds."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, draws: np.ndarray) -> Band:
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(draws[1:], [tail, 1 - tail])
        return cls(float(draws[0]), float(low), float(high))


@dataclass(frozen=True)
class Row:
    """The forecast for a number of ranks."""

    ranks: int
    all_reduce: Band
    """Seconds."""
    weak_step: Band
    """Seconds, as many graphs on each rank as on one."""
    weak_efficiency: Band
    epoch: Band
    """Seconds to go through the training split in steps of the kind of `weak_step`: strong scaling of an epoch."""
    epoch_speedup: Band
    strong_step: Band | None
    """Seconds, the graphs of a step shared by all ranks; None where a rank would get none."""
    strong_speedup: Band | None
    strong_efficiency: Band | None

    def as_dict(self) -> dict[str, Any]:
        return {name: vars(value) if isinstance(value, Band) else value for name, value in vars(self).items()}


def forecast(
    cost: StepCost,
    levels: list[Level],
    model: AllReduceModel,
    gradient_bytes: int,
    ranks: Sequence[int],
    *,
    step_graphs: int,
    epoch_graphs: int,
    generator: np.random.Generator,
) -> list[Row]:
    """Steps and epochs on each of `ranks` rank counts.

    Parameters
    ----------
    levels : links, with DRAWS draws
    step_graphs : graphs of a step of all ranks in strong scaling
    epoch_graphs : graphs of the training split
    """
    seconds, per_graph = cost.draws(generator, DRAWS)

    def step(count: int, graphs: float) -> np.ndarray:
        compute = np.maximum(seconds - per_graph * (cost.graphs - graphs), 0)
        wait = cost.spread * math.sqrt(graphs / cost.graphs) * expected_maximum(count)
        return compute + wait + all_reduce_seconds(levels, model, count, gradient_bytes)

    def epoch(count: int) -> np.ndarray:
        return max(-(-(epoch_graphs // count) // cost.graphs), 1) * step(count, cost.graphs)

    first, first_step, first_epoch = step(1, cost.graphs), step(1, step_graphs), epoch(1)
    rows = []
    for count in ranks:
        weak, strong = step(count, cost.graphs), step(count, -(-step_graphs // count))
        fits = count <= step_graphs
        rows.append(
            Row(
                ranks=count,
                all_reduce=Band.of(all_reduce_seconds(levels, model, count, gradient_bytes)),
                weak_step=Band.of(weak),
                weak_efficiency=Band.of(first / weak),
                epoch=Band.of(epoch(count)),
                epoch_speedup=Band.of(first_epoch / epoch(count)),
                strong_step=Band.of(strong) if fits else None,
                strong_speedup=Band.of(first_step / strong) if fits else None,
                strong_efficiency=Band.of(first_step / strong / count) if fits else None,
            )
        )
    return rows


@cache
def expected_maximum(count: int) -> float:
    """The mean of the largest of `count` independent standard normal numbers."""
    grid = (np.arange(4000) + 0.5) / 200 - 10
    below = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in grid]) ** count
    # E[X] is the integral of P(X > x) above zero less that of P(X < x) below.
    return float(np.where(grid < 0, -below, 1 - below).sum() * (grid[1] - grid[0])) if count > 1 else 0.0
