"""What was measured of a step on a number of ranks, and what follows from it without any model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

BREAKDOWN = ("load", "forward", "backward", "all_reduce", "optimizer", "other")
"""Parts of a step that add up to it; `all_reduce` is what the backward pass takes longer than without peers."""


@dataclass(frozen=True)
class Estimate:
    """A value and its standard error."""

    value: float
    error: float

    @classmethod
    def of(cls, samples: Sequence[float] | np.ndarray) -> Estimate:
        """The median of repeats; its error is that of a median of normal samples, 1.2533 s / sqrt(n)."""
        samples = np.asarray(samples, float)
        error = 1.2533 * samples.std(ddof=1) / np.sqrt(len(samples)) if len(samples) > 1 else 0.0
        return cls(float(np.median(samples)), float(error))

    def over(self, other: Estimate) -> Estimate:
        """The ratio of two independent estimates."""
        ratio = self.value / other.value
        return Estimate(ratio, ratio * float(np.hypot(self.error / self.value, other.error / other.value)))

    def times(self, factor: float) -> Estimate:
        return Estimate(self.value * factor, self.error * factor)


@dataclass(frozen=True)
class RankTimes:
    """One rank's steps (updates of the optimizer), `repeats` blocks of `updates` each."""

    seconds: list[list[float]]
    """Each update, data included."""
    nodes: list[list[int]]
    """Nodes of the graphs of each update: the rank's work."""
    phases: dict[str, list[float]]
    """Phase -> seconds an update, the mean of each block."""


@dataclass(frozen=True)
class Point:
    """Steps on `ranks` ranks.

    kind : "single", "strong" (the graphs of a step are fixed) or "weak" (those of a rank are)
    graphs : of a rank and step
    alone : of each rank, all ranks at once but without exchanging anything
    together : of each rank, as in training
    """

    kind: str
    ranks: int
    graphs: int
    alone: list[RankTimes]
    together: list[RankTimes]

    def seconds(self) -> Estimate:
        """T_N: a step takes as long as the slowest rank of each block."""
        blocks = np.array([np.mean(rank.seconds, axis=1) for rank in self.together])
        return Estimate.of(blocks.max(axis=0))

    def imbalance(self) -> tuple[float, float]:
        """sigma_load (Eq. 4) and gamma = max / mean (Eq. 5) of the nodes of each rank, means over the steps."""
        nodes = np.array([rank.nodes for rank in self.alone], float)
        return float(nodes.std(axis=0).mean()), float((nodes.max(axis=0) / nodes.mean(axis=0)).mean())

    def nodes(self) -> np.ndarray:
        """Nodes of each rank and step, flat."""
        return np.array([rank.nodes for rank in self.alone], float).ravel()

    def computation(self) -> Estimate:
        """Seconds a step of a rank without its peers, the mean over ranks."""
        return Estimate.of(np.mean([np.mean(rank.seconds, axis=1) for rank in self.alone], axis=0))

    def iteration(self, communication: float) -> dict[str, float]:
        """T_iter = T_comp + T_comm + max_i T_wait (Eq. 11), beside what was measured; seconds.

        T_comp is that of the rank which waits longest, the fastest; both are medians over the steps. `communication`
        is the time of an all-reduce of the gradient, as if nothing of it were hidden behind the backward pass.
        """
        steps = np.array([rank.seconds for rank in self.alone])
        fastest, slowest = steps.min(axis=0), steps.max(axis=0)
        parts = {
            "computation": float(np.median(fastest)),
            "communication": communication,
            "wait": float(np.median(slowest - fastest)),
        }
        return {**parts, "sum": sum(parts.values()), "measured": self.seconds().value}

    def phases(self) -> dict[str, dict[str, float]]:
        """Seconds a step in each phase: mean and max over ranks, of medians over blocks.

        `backward_with_all_reduce` is the backward pass of training, `backward_alone` the one without peers, and
        "all_reduce" what the first exceeds the second by.
        """
        rows = [self._rank_phases(rank) for rank in range(self.ranks)]
        return {name: _mean_and_max([row[name] for row in rows]) for name in rows[0]}

    def _rank_phases(self, rank: int) -> dict[str, float]:
        together, alone = self.together[rank], self.alone[rank]
        seconds = {name: float(np.median(blocks)) for name, blocks in together.phases.items()}
        with_reduce, backward = seconds["backward"], float(np.median(alone.phases["backward"]))
        whole = float(np.median(np.mean(together.seconds, axis=1)))
        row = {
            "load": seconds["load"],
            "forward": seconds["forward"],
            "backward": min(backward, with_reduce),
            "all_reduce": max(with_reduce - backward, 0.0),
            "optimizer": seconds["optimizer"],
        }
        row["other"] = max(whole - sum(row.values()), 0.0)
        return {**row, "backward_alone": backward, "backward_with_all_reduce": with_reduce}

    def as_dict(self) -> dict[str, Any]:
        """The raw measurements."""
        return {
            "kind": self.kind,
            "ranks": self.ranks,
            "graphs": self.graphs,
            "alone": [vars(rank) for rank in self.alone],
            "together": [vars(rank) for rank in self.together],
        }


def _mean_and_max(values: Sequence[float]) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "max": float(np.max(values))}
