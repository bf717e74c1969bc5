"""How fast a run learns: the objective of its episodes over frames and seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hydrasurr.errors import HydrasurrError

EDGE = 0.1
"""What a run begins and ends with are means over this share of its frames."""
SPAN = 0.05
"""A curve is smoothed over this share of its frames."""


@dataclass(frozen=True)
class Curve:
    """What episodes ended with. All are float64 `[n]`, in the order of time, one for each record with episodes.

    Attributes
    ----------
    frames, seconds : so far
    objective : mean over the episodes
    episodes : how many
    """

    frames: np.ndarray
    seconds: np.ndarray
    objective: np.ndarray
    episodes: np.ndarray

    @classmethod
    def of(cls, records: Sequence[dict[str, Any]]) -> Curve:
        """From the lines of metrics.jsonl. Seconds count from the first record: before it, processes start."""
        known = [record for record in records if record["episodes"]]
        if not known:
            raise HydrasurrError(
                "no episode of a run has ended, so its convergence cannot be told; give it more design.frames"
            )
        columns = (
            [record["total_frames"] for record in known],
            [record["total_seconds"] - records[0]["total_seconds"] for record in known],
            [record["objective"] for record in known],
            [record["episodes"] for record in known],
        )
        return cls(*(np.array(column, np.float64) for column in columns))

    @classmethod
    def from_lists(cls, lists: dict[str, list[float]]) -> Curve:
        return cls(**{name: np.array(values, np.float64) for name, values in lists.items()})

    def lists(self) -> dict[str, list[float]]:
        """For JSON."""
        return {name: values.tolist() for name, values in vars(self).items()}

    def smoothed(self, span: float = SPAN) -> np.ndarray:
        """float64 `[n]`: the mean over the episodes of this record and those up to `span` of all frames before it."""
        total = np.concatenate([[0.0], np.cumsum(self.objective * self.episodes)])
        count = np.concatenate([[0.0], np.cumsum(self.episodes)])
        first = np.searchsorted(self.frames, self.frames - span * self.frames[-1], side="right")
        here = np.arange(1, len(self.frames) + 1)
        first = np.minimum(first, here - 1)
        return (total[here] - total[first]) / (count[here] - count[first])

    def beginning(self) -> float:
        """Mean over the episodes of the first EDGE of the frames."""
        return self._mean(self.frames <= max(EDGE * self.frames[-1], self.frames[0]))

    def end(self) -> float:
        """Mean over the episodes of the last EDGE of the frames."""
        return self._mean(self.frames > (1 - EDGE) * self.frames[-1])

    def _mean(self, chosen: np.ndarray) -> float:
        return float(np.average(self.objective[chosen], weights=self.episodes[chosen]))


@dataclass(frozen=True)
class Goal:
    """From where to where the objective shall grow."""

    start: float
    target: float

    @classmethod
    def of(cls, reference: Sequence[Curve], share: float) -> Goal:
        """`share` of what the reference, in the mean over its runs, gains from its beginning to its end."""
        start, end = (
            float(np.mean([curve_end(curve) for curve in reference])) for curve_end in (Curve.beginning, Curve.end)
        )
        return cls(start, start + share * (end - start))

    @property
    def gain(self) -> float:
        return self.target - self.start


@dataclass(frozen=True)
class Speed:
    """How fast a run converged.

    Attributes
    ----------
    per_frame, per_second : gain of the objective
    reached : the goal was reached
    """

    per_frame: float
    per_second: float
    reached: bool


def speed(curve: Curve, goal: Goal) -> Speed:
    """Convergence speed `C` of Eq. 10, for which the paper gives "target improvement per epoch" as an example.

    The gain up to the goal, over the frames or seconds until the smoothed curve first reaches it (linear between
    records). A run that does not reach it has what it gained by its end, 0 at least, over all of its frames and
    seconds.
    """
    values = curve.smoothed()
    reached = np.flatnonzero(values >= goal.target)
    if not len(reached):
        gain = max(curve.end() - goal.start, 0.0)
        return Speed(gain / curve.frames[-1], gain / max(curve.seconds[-1], 1e-9), False)
    k = int(reached[0])
    part = 1.0 if k == 0 else (goal.target - values[k - 1]) / (values[k] - values[k - 1])
    at = [float(x[k] if k == 0 else x[k - 1] + part * (x[k] - x[k - 1])) for x in (curve.frames, curve.seconds)]
    return Speed(goal.gain / at[0], goal.gain / max(at[1], 1e-9), True)
