"""How evenly work lies on workers. Loads `L_i` are float64 `[N]`: the seconds that each worker was busy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def loads(worker: ArrayLike, seconds: ArrayLike, count: int) -> np.ndarray:
    """float64 `[count]`: the sum of the `seconds` of all tasks of each worker, given by its number."""
    return np.bincount(np.asarray(worker, np.int64), np.asarray(seconds, np.float64), minlength=count)


def sigma_load(load: ArrayLike) -> float:
    """Eq. 4 of M. Zielinski (2025): `sqrt(mean((L_i - mean(L))^2))`, seconds."""
    return float(np.std(_checked(load)))


def relative_sigma_load(load: ArrayLike) -> float:
    """`sigma_load` over the mean load; 0 if nobody did anything."""
    mean = np.mean(_checked(load))
    return sigma_load(load) / mean if mean else 0.0


def gamma(load: ArrayLike) -> float:
    """Eq. 5 of M. Zielinski (2025): `max(L) / mean(L)`, 1 if all are loaded alike or nobody did anything."""
    load = _checked(load)
    return float(load.max() / load.mean()) if load.any() else 1.0


def efficiency(work: float, speed: ArrayLike, seconds: float) -> float:
    """Part of what the workers could do that they did: `work / (sum(speed) seconds)`.

    Parameters
    ----------
    work : of all tasks, in seconds of a worker of speed 1; work done in vain does not count
    speed : of each worker, `[N]`
    seconds : from the first task's beginning to the last one's end
    """
    capacity = float(np.sum(speed)) * seconds
    return work / capacity if capacity else 1.0


def _checked(load: ArrayLike) -> np.ndarray:
    load = np.asarray(load, np.float64)
    if load.ndim != 1 or not len(load):
        raise ValueError(f"loads of one or more workers are expected, not an array of shape {load.shape}")
    return load
