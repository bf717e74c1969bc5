"""How long tasks will take, learnt from those that are done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from hydrasurr.rl.scheduling.tasks import Task

FREE = 1e-9
"""Ridge of the intercept: none, but a system of equations that can be solved."""
PRIOR_RESULTS = 4
"""So many results does the assumed spread of costs weigh."""


class CostModel:
    """Ridge regression of the logarithm of cost on the features of tasks, for each class of devices.

    `log(seconds / hint) = b . z`, where `z` is 1, the standardised logarithm of the hint and the standardised
    features. `b` of all results together is drawn to 0 but for its intercept, so that a hint which is right up to a
    factor stays right; `b` of a class of devices is drawn to that of all, so that a class with few results or none
    leans on the others. Before the first `fit`, tasks take what their hints say.

    Parameters
    ----------
    features : of each task
    ridge : strength of the draw, in results
    spread : standard deviation of the logarithm of cost to assume before there are results

    Attributes
    ----------
    count : results so far
    """

    def __init__(self, features: int, ridge: float = 1.0, spread: float = 1.0):
        self.features, self.ridge, self.spread = features, ridge, spread
        self.count = 0
        self._sums: dict[str, _Sums] = {}
        self.fit()

    def observe(self, task: Task, seconds: float, device: str) -> None:
        """Note that `task` took `seconds` on a worker of speed 1 of the class `device`; counts from the next `fit`."""
        row = self._rows([task])[0]
        ratio = log(max(seconds, 1e-9) / task.hint)
        self._sums.setdefault(device, _Sums.zero(len(row))).add(row, ratio)
        self.count += 1

    def fit(self) -> None:
        """Take all results into account."""
        width = 2 + self.features
        nothing = _Sums.zero(width)
        everything = sum(self._sums.values(), nothing)
        matrix = _standardisation(everything.gram)
        together = everything.changed(matrix)
        towards_zero = np.diag([FREE] + [self.ridge] * (width - 1))
        shared = np.linalg.solve(together.gram + towards_zero, together.moment)
        misfit, self._lines = 0.0, {}
        for device, sums in [(None, nothing), *self._sums.items()]:  # of a class without results nothing else is known
            sums = sums.changed(matrix)
            inverse = np.linalg.inv(sums.gram + self.ridge * np.eye(width))
            weights = inverse @ (sums.moment + self.ridge * shared)
            misfit += sums.misfit(weights)
            self._lines[device] = _Line(
                matrix.T @ weights + np.eye(width)[1], matrix.T @ inverse @ matrix, np.exp(shared[0] - weights[0])
            )
        self._variance = (PRIOR_RESULTS * self.spread**2 + misfit) / (PRIOR_RESULTS + everything.gram[0, 0])

    def predict(self, tasks: Sequence[Task], device: str | None = None) -> np.ndarray:
        """float64 `[K]`: median seconds on a worker of speed 1 of the class `device`; None: of all classes together."""
        return np.exp(self._rows(tasks) @ self._line(device).weights)

    def quantile(self, tasks: Sequence[Task], part: float, device: str | None = None) -> np.ndarray:
        """float64 `[K]`: seconds that such a task takes at most with probability `part`.

        Costs are taken as lognormal; the uncertainty of the regression counts too.
        """
        rows, line = self._rows(tasks), self._line(device)
        variance = self._variance * (1 + ((rows @ line.uncertainty) * rows).sum(1))
        return np.exp(rows @ line.weights + NormalDist().inv_cdf(part) * np.sqrt(variance))

    def speed(self, device: str) -> float:
        """Of a class of devices with an average task, relative to all classes together."""
        return float(self._line(device).speed)

    def state_dict(self) -> dict[str, Any]:
        """All that was observed, for JSON."""
        return {"features": self.features, "devices": {device: sums.listed() for device, sums in self._sums.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from another model's `state_dict`."""
        self.features = state["features"]
        self._sums = {device: _Sums.from_lists(lists) for device, lists in state["devices"].items()}
        self.count = round(sum(sums.gram[0, 0] for sums in self._sums.values()))
        self.fit()

    def _line(self, device: str | None) -> _Line:
        return self._lines.get(device, self._lines[None])

    def _rows(self, tasks: Sequence[Task]) -> np.ndarray:
        rows = [(1.0, log(task.hint), *task.features) for task in tasks]
        return np.array(rows, np.float64).reshape(len(tasks), 2 + self.features)


class _Line(NamedTuple):
    """What has been learnt of a class of devices, for rows 1, log(hint), features.

    Attributes
    ----------
    weights : `[P]`, of the logarithm of seconds
    uncertainty : `[P, P]`, the covariance of the weights over the variance of costs
    speed : with an average task
    """

    weights: np.ndarray
    uncertainty: np.ndarray
    speed: float


@dataclass(frozen=True)
class _Sums:
    """All that a regression needs to know of its rows `x` `[P]` and values `y`.

    Attributes
    ----------
    gram : `[P, P]`, the sum of `x x^T`
    moment : `[P]`, the sum of `x y`
    square : `[]`, the sum of `y^2`
    """

    gram: np.ndarray
    moment: np.ndarray
    square: np.ndarray

    @classmethod
    def zero(cls, width: int) -> _Sums:
        return cls(np.zeros((width, width)), np.zeros(width), np.zeros(()))

    @classmethod
    def from_lists(cls, lists: list[Any]) -> _Sums:
        return cls(*(np.array(values, np.float64) for values in lists))

    def listed(self) -> list[Any]:
        return [self.gram.tolist(), self.moment.tolist(), self.square.tolist()]

    def add(self, row: np.ndarray, value: float) -> None:
        self.gram[...] += np.outer(row, row)
        self.moment[...] += row * value
        self.square[...] += value * value

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(self.gram + other.gram, self.moment + other.moment, self.square + other.square)

    __radd__ = __add__

    def changed(self, matrix: np.ndarray) -> _Sums:
        """Of the rows `matrix x`."""
        return _Sums(matrix @ self.gram @ matrix.T, matrix @ self.moment, self.square)

    def misfit(self, weights: np.ndarray) -> float:
        """The sum of `(y - weights . x)^2`; rounding does not make it negative."""
        return max(float(self.square - 2 * weights @ self.moment + weights @ self.gram @ weights), 0.0)


def _standardisation(gram: np.ndarray) -> np.ndarray:
    """`[P, P]`: takes rows to mean 0 and standard deviation 1; keeps their first entry, 1; what never varies is 0."""
    count = max(gram[0, 0], 1.0)
    mean = gram[0] / count
    square = np.diag(gram) / count
    variance = square - mean**2
    varies = variance > 1e-12 * (square + 1e-12)
    inverse_scale = np.where(varies, 1 / np.sqrt(np.where(varies, variance, 1.0)), 0.0)
    matrix = np.diag(inverse_scale)
    matrix[:, 0] = -mean * inverse_scale
    matrix[0, 0] = 1.0
    return matrix
