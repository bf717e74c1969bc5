"""What is wanted of molecules: weighted goals, and conditions without which a molecule is worth nothing."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from hydrasurr.rl.rewards.goals import AnyGoal, Maximise
from hydrasurr.rl.rewards.properties import AnyProperty, DrugLikeness
from hydrasurr.strict import Strict


class Term(Strict):
    """A property and what is wanted of it."""

    property: AnyProperty
    goal: AnyGoal = Maximise()
    weight: float = Field(1.0, gt=0)


class Constraint(Strict):
    """Bounds of a property, themselves allowed."""

    property: AnyProperty
    at_least: float | None = None
    at_most: float | None = None
    caution: float = Field(1.0, ge=0)
    """Of a prediction, all values within so many standard deviations must be allowed."""

    @model_validator(mode="after")
    def _bounded(self) -> Constraint:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least, at_most or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least {self.at_least:g} is above at_most {self.at_most:g}")
        return self

    def holds(self, value: np.ndarray, std: np.ndarray) -> np.ndarray:
        """bool `[n]`, of values and standard deviations `[n]`; not where the value is NaN."""
        low = -np.inf if self.at_least is None else self.at_least
        high = np.inf if self.at_most is None else self.at_most
        return (value - self.caution * std >= low) & (value + self.caution * std <= high)


class ObjectiveConfig(Strict):
    """The `objective` section of a design run."""

    terms: tuple[Term, ...] = (Term(property=DrugLikeness()),)
    combine: Literal["mean", "geometric_mean"] = "mean"
    """Of the scores, by weight. The geometric mean is near 0 if any of them is; scores below 0 count as 0 there."""
    constraints: tuple[Constraint, ...] = ()
    """A molecule that breaks one is worth `otherwise`."""
    otherwise: float = 0.0
    """Worth of a molecule that breaks a constraint, or of which a property cannot be told."""

    @field_validator("terms")
    @classmethod
    def _something(cls, terms: tuple[Term, ...]) -> tuple[Term, ...]:
        if not terms:
            raise ValueError("give at least one term; without this key it is the drug-likeness QED")
        return terms

    def worth(self, values: np.ndarray, stds: np.ndarray) -> np.ndarray:
        """float64 `[n]`, finite: what molecules are worth.

        Parameters
        ----------
        values, stds : float64 `[n, terms + constraints]`, of the properties of terms, then of constraints; values are
            NaN where there is none
        """
        scores = np.stack([term.goal.score(values[:, k], stds[:, k]) for k, term in enumerate(self.terms)], 1)
        weights = np.array([term.weight for term in self.terms])
        weights /= weights.sum()
        total = (scores * weights).sum(1) if self.combine == "mean" else (scores.clip(min=0) ** weights).prod(1)
        good = np.isfinite(total)
        for k, constraint in enumerate(self.constraints, start=len(self.terms)):
            good &= constraint.holds(values[:, k], stds[:, k])
        return np.where(good, total, self.otherwise)
