"""From the value of a property to a score."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from hydrasurr.strict import Strict


class Goal(Strict):
    """Base: what is wanted of a property.

    A prediction comes with a standard deviation; its score is the worst that any value within `caution` of them would
    have (a lower confidence bound), so that an agent does not learn to find a model's mistakes.
    """

    caution: float = Field(1.0, ge=0)
    """Standard deviations."""

    @abstractmethod
    def score(self, value: np.ndarray, std: np.ndarray) -> np.ndarray:
        """float64 `[n]` of values and standard deviations `[n]`; NaN for values that are NaN."""


class Maximise(Goal):
    """The more the better: `(value - low) / (high - low)`, beyond these ends too."""

    type: Literal["maximise"] = "maximise"
    low: float = 0.0
    """In the unit of the property; scores 0."""
    high: float = 1.0
    """Scores 1."""

    @model_validator(mode="after")
    def _two_ends(self) -> Maximise:
        _require_two_ends(self.low, self.high)
        return self

    def score(self, value: np.ndarray, std: np.ndarray) -> np.ndarray:
        return (value - self.caution * std - self.low) / (self.high - self.low)


class Minimise(Goal):
    """The less the better: `(high - value) / (high - low)`, beyond these ends too."""

    type: Literal["minimise"] = "minimise"
    low: float = 0.0
    """In the unit of the property; scores 1."""
    high: float = 1.0
    """Scores 0."""

    @model_validator(mode="after")
    def _two_ends(self) -> Minimise:
        _require_two_ends(self.low, self.high)
        return self

    def score(self, value: np.ndarray, std: np.ndarray) -> np.ndarray:
        return (self.high - value - self.caution * std) / (self.high - self.low)


class Range(Goal):
    """Between two values, or at one if they are the same: 1 there, and `exp(-distance / tolerance)` outside."""

    type: Literal["range"] = "range"
    low: float
    high: float
    tolerance: float = Field(gt=0)
    """In the unit of the property, as are the ends."""

    @model_validator(mode="after")
    def _in_order(self) -> Range:
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}")
        return self

    def score(self, value: np.ndarray, std: np.ndarray) -> np.ndarray:
        below, above = value - self.caution * std, value + self.caution * std
        distance = np.maximum(np.maximum(self.low - below, above - self.high), 0)
        return np.exp(-distance / self.tolerance)


def _require_two_ends(low: float, high: float) -> None:
    if not low < high:
        raise ValueError(f"low {low:g} must be below high {high:g}")


AnyGoal = Annotated[Maximise | Minimise | Range, Field(discriminator="type")]
