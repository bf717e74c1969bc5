"""Statistics of a column that are computed chunk by chunk and merged."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hydrasurr.stores.info import TargetStatistics


class Moments(NamedTuple):
    """Of one column, missing values left out; `squares` is the sum of squared deviations from the mean."""

    count: int
    mean: float
    squares: float
    min: float
    max: float

    @classmethod
    def of(cls, values: np.ndarray) -> Moments:
        """Of float64 `[n]`; NaN: missing."""
        values = values[~np.isnan(values)]
        if not len(values):
            return cls(0, 0.0, 0.0, math.inf, -math.inf)
        mean = values.mean()
        squares = ((values - mean) ** 2).sum()
        return cls(len(values), float(mean), float(squares), float(values.min()), float(values.max()))

    def merge(self, other: Moments) -> Moments:
        """Of both parts together (T. F. Chan, G. H. Golub, R. J. LeVeque, Updating formulae, 1979)."""
        count = self.count + other.count
        share = other.count / max(count, 1)
        delta = other.mean - self.mean
        return Moments(
            count,
            self.mean + delta * share,
            self.squares + other.squares + delta**2 * self.count * share,
            min(self.min, other.min),
            max(self.max, other.max),
        )

    def statistics(self) -> TargetStatistics:
        """As the header has them; the standard deviation is the population's."""
        if not self.count:
            return TargetStatistics(count=0, mean=0, std=0, min=0, max=0)
        std = math.sqrt(self.squares / self.count)
        return TargetStatistics(count=self.count, mean=self.mean, std=std, min=self.min, max=self.max)
