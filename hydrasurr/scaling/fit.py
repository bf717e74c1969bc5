"""Least squares with standard errors: the all-reduce models, and the speed-up model S(N) of Eq. 9."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hydrasurr.scaling.models import AllReduceModel


@dataclass(frozen=True)
class Fit:
    """Parameters, none of them negative, and how well they are known."""

    names: tuple[str, ...]
    values: np.ndarray
    covariance: np.ndarray
    residual: float
    """Root mean square of the weighted residuals."""
    determined: bool
    """False if the points allow other values just as well; the simplest ones were taken."""

    @property
    def errors(self) -> np.ndarray:
        """Standard errors; 0 for a parameter that is at its bound or was not needed."""
        return np.sqrt(np.diag(self.covariance))

    def draws(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """`[count, parameters]`: the fitted values in row 0, then values as uncertain as the fit."""
        errors = self.errors
        scale = np.where(errors > 0, errors, 1.0)
        correlation = self.covariance / np.outer(scale, scale)
        normal = generator.multivariate_normal(np.zeros(len(scale)), correlation, count, method="eigh")
        normal[0] = 0
        return np.maximum(self.values + normal * scale, 0)

    def as_dict(self) -> dict[str, Any]:
        parameters = zip(self.names, self.values, self.errors, strict=True)
        return {
            **{name: {"value": float(value), "error": float(error)} for name, value, error in parameters},
            "covariance": self.covariance.tolist(),
            "residual": self.residual,
            "determined": self.determined,
        }


def fit_all_reduce(model: AllReduceModel, ranks: ArrayLike, sizes: ArrayLike, seconds: ArrayLike) -> Fit:
    """alpha (s) and beta (s/byte) of an all-reduce model by relative least squares.

    Parameters
    ----------
    ranks, sizes, seconds : `[n]`, one measurement each; sizes in bytes

    Every point counts by its relative deviation, else the largest messages alone would decide. The covariance
    follows from the residuals, so it holds what the model misses as well as the noise.
    """
    seconds = np.asarray(seconds, float)
    design = model.design(ranks, sizes) / seconds[:, None]
    values, inverse, residuals, determined = _non_negative(design, np.ones(len(seconds)))
    freedom = max(len(seconds) - int(np.count_nonzero(values)), 1)
    covariance = inverse * (residuals @ residuals) / freedom
    return Fit(("alpha", "beta"), values, covariance, float(np.sqrt(np.mean(residuals**2))), determined)


@dataclass(frozen=True)
class SpeedUp:
    """S(N) = T_1 / (T_1/N + alpha log2 N + beta (N-1) + gamma sigma_L) (Eq. 9)."""

    first: float
    """T_1, seconds of a step on one rank."""
    fit: Fit

    def __call__(self, ranks: ArrayLike, imbalance: ArrayLike, parameters: ArrayLike | None = None) -> np.ndarray:
        """Speed-up on `ranks` ranks whose workloads have the standard deviation `imbalance` (s)."""
        ranks = np.asarray(ranks, float)
        design = _overheads(ranks, np.broadcast_to(np.asarray(imbalance, float), ranks.shape))
        overhead = np.asarray(self.fit.values if parameters is None else parameters) @ design.T
        return self.first / (self.first / ranks + overhead)


def fit_speed_up(
    ranks: Sequence[int],
    seconds: Sequence[float],
    errors: Sequence[float],
    imbalance: Sequence[float],
) -> SpeedUp:
    """Eq. 9 fitted to measured times of a step with a fixed global batch.

    Parameters
    ----------
    ranks, seconds, errors, imbalance : `[n]`, of which the first is one rank: rank counts, seconds a step, their
        standard errors, and sigma_L in seconds

    Fitted is what exceeds T_1/N, with the errors of the points as weights (that of T_1 is in all of them); misfit
    beyond these errors enlarges the covariance. With fewer rank counts than parameters the first parameters take
    what there is.
    """
    count, times, imbalances = np.asarray(ranks, float), np.asarray(seconds, float), np.asarray(imbalance, float)
    noise = np.maximum(np.asarray(errors, float), 1e-6 * times)
    count, rest = count[1:], times[1:] - times[0] / count[1:]
    covariance = np.diag(noise[1:] ** 2) + np.outer(1 / count, 1 / count) * noise[0] ** 2
    whiten = np.linalg.inv(np.linalg.cholesky(covariance))
    design = whiten @ _overheads(count, imbalances[1:])
    values, inverse, residuals, determined = _non_negative(design, whiten @ rest)
    freedom = len(rest) - int(np.count_nonzero(values))
    misfit = max(1.0, (residuals @ residuals) / freedom) if freedom else 1.0
    mean_square = float(np.sqrt(np.mean(residuals**2)))
    return SpeedUp(float(times[0]), Fit(("alpha", "beta", "gamma"), values, inverse * misfit, mean_square, determined))


def _overheads(ranks: np.ndarray, imbalance: np.ndarray) -> np.ndarray:
    return np.stack([np.log2(ranks), ranks - 1, imbalance], axis=-1)


def _non_negative(design: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Least squares with no parameter below zero: values, inverse of the normal matrix, residuals, determined.

    The best solution is the plain one on some subset of the columns, so all subsets are tried, few and first columns
    winning ties. Exact, and cheap for the two or three parameters there are.
    """
    columns = design.shape[1]
    norms = np.linalg.norm(design, axis=0)
    scaled = design / np.where(norms > 0, norms, 1.0)
    best, values, inverse = float(target @ target), np.zeros(columns), np.zeros((columns, columns))
    residuals, tolerance = target, 1e-12 * float(target @ target)
    for size in range(1, columns + 1):
        for support in combinations(range(columns), size):
            part = scaled[:, support]
            if np.linalg.matrix_rank(part) < size:
                continue
            found = np.linalg.lstsq(part, target, rcond=None)[0]
            left = target - part @ found
            if (found < 0).any() or left @ left >= best - tolerance:
                continue
            best, residuals = float(left @ left), left
            values, inverse = np.zeros(columns), np.zeros((columns, columns))
            values[list(support)] = found / norms[list(support)]
            scale = np.outer(norms[list(support)], norms[list(support)])
            inverse[np.ix_(support, support)] = np.linalg.inv(part.T @ part) / scale
    determined = int(np.linalg.matrix_rank(scaled)) == int(np.count_nonzero(norms))
    return values, inverse, residuals, determined
