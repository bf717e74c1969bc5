"""Statistics that are computed chunk by chunk and merged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from hydrasurr.stores.info import TargetStatistics


class Moments(NamedTuple):
    """Of each of `T` columns, missing values left out; all arrays `[T]`."""

    count: np.ndarray
    mean: np.ndarray
    squares: np.ndarray
    """Sum of squared deviations from the mean."""
    min: np.ndarray
    max: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Moments:
        """Of the columns of `values` (float64 `[n, T]`, NaN: missing)."""
        there = ~np.isnan(values)
        count = there.sum(axis=0)
        mean = np.where(there, values, 0).sum(axis=0) / np.maximum(count, 1)
        squares = np.where(there, (values - mean) ** 2, 0).sum(axis=0)
        low = np.where(there, values, np.inf).min(axis=0, initial=np.inf)
        high = np.where(there, values, -np.inf).max(axis=0, initial=-np.inf)
        return cls(count, mean, squares, low, high)

    def merge(self, other: Moments) -> Moments:
        """Of both parts together (Chan, Golub, LeVeque 1979, eq. 2.1)."""
        count = self.count + other.count
        share = other.count / np.maximum(count, 1)
        delta = other.mean - self.mean
        return Moments(
            count,
            self.mean + delta * share,
            self.squares + other.squares + delta**2 * self.count * share,
            np.minimum(self.min, other.min),
            np.maximum(self.max, other.max),
        )

    def statistics(self) -> tuple[TargetStatistics, ...]:
        """As the header has them; the standard deviation is the population's."""
        std = np.sqrt(self.squares / np.maximum(self.count, 1))
        columns = (self.count, self.mean, std, self.min, self.max)
        return tuple(
            TargetStatistics(count=count, mean=mean, std=std, min=low, max=high)
            for count, mean, std, low, high in zip(*(column.tolist() for column in columns), strict=True)
        )


def add_histograms(histograms: Iterable[np.ndarray]) -> np.ndarray:
    """The sum of int64 histograms of any lengths."""
    total = np.zeros(0, np.int64)
    for histogram in histograms:
        longer, shorter = sorted((total, histogram), key=len, reverse=True)
        total = longer.copy()
        total[: len(shorter)] += shorter
    return total
