"""The measures of M. Zielinski, "Accelerating Quantum Chemistry Simulations Using GPU-Optimized Deep Reinforcement
Learning Algorithms" (2025), by the numbers of its equations, as pure functions.

Eq. 4 and 5 are in `scheduling.metrics`, Eq. 6 and 7 in `hydrasurr.scaling.models`, Eq. 9 in `hydrasurr.scaling.fit`.
Where the paper leaves something open it is said here how it is read.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def speed_up(first: float, seconds: float) -> float:
    """`S = T_1 / T_N`, beside Eq. 1: seconds that the same work takes one worker, over those it takes `N`."""
    return first / seconds


def parallel_efficiency(first: float, seconds: float, workers: int) -> float:
    """Eq. 1: `eta = T_1 / (N T_N)`.

    Parameters
    ----------
    first, seconds : wall-clock seconds of the same work with one worker and with `workers`
    """
    return first / (workers * seconds)


def efficiency_with_communication(first: float, computation: float, communication: float, workers: int) -> float:
    """Eq. 8: `eta = T_1 / (N (T_N + T_comm))`.

    The paper gives `T_1` by the wall clock, `T_N` as "computation time per node" and `T_comm` as "overhead per
    iteration"; all must be of the same work, so all are read as seconds of the whole run. As time that workers wait
    is in neither, this is at least Eq. 1 if all communication is waited for.

    Parameters
    ----------
    first : wall-clock seconds with one worker
    computation, communication : seconds of a worker among `workers`, in the mean over them
    """
    return first / (workers * (computation + communication))


def convergence_degradation(reference: float, ablated: float) -> float:
    """Eq. 10, the convergence degradation ratio in per cent: `100 (C_ref - C_abl) / C_ref`.

    Convergence speeds `C` may be in any unit, the same for both; negative where the ablated one is faster. What a
    convergence speed is the paper leaves open; see `convergence.speed`. Raises ValueError for a reference that did not
    converge, `C_ref <= 0`, to which nothing can be compared.
    """
    if reference <= 0:
        raise ValueError(f"the reference has a convergence speed of {reference:g}; one above 0 is needed")
    return 100 * (reference - ablated) / reference


def iteration_seconds(computation: float, communication: float, waits: ArrayLike) -> float:
    """Eq. 11: `T_iter = T_comp + T_comm + max_i T_wait^(i)`, seconds.

    The paper does not say whose computation `T_comp` is. If all workers compute alike it is that of each; else the sum
    is exact for the one that waits longest, whose computation is then to be given.
    """
    return computation + communication + float(np.max(waits))


def utilisation(active: ArrayLike, total: float) -> float:
    """Eq. 12: `U = mean_i(T_active^(i)) / T_total`.

    Parameters
    ----------
    active : `[N]`, seconds that each device did work. Here a device is a process
    total : seconds of the experiment
    """
    return float(np.mean(_seconds(active))) / total


def system_efficiency(active: ArrayLike, total: float, idle: ArrayLike | None = None) -> float:
    """Eq. 13: `eta_sys = sum_i T_active^(i) / (N T_total + sum_i T_idle^(i))`.

    As printed, idle time counts twice if a device is idle whenever it is not active, for it is in `N T_total` already:
    with `idle` None, `T_idle = T_total - T_active`, and then `eta_sys = U / (2 - U)`.

    Parameters
    ----------
    active, idle : `[N]`, seconds of each device
    total : seconds of the experiment
    """
    active = _seconds(active)
    idle = total - active if idle is None else _seconds(idle)
    return float(active.sum() / (len(active) * total + idle.sum()))


def robustness(recovered: int, faults: int, throughput: float, undisturbed: float) -> float:
    """`R` of Eq. 14, which the paper calls "a normalized robustness score (e.g., failure recovery rate)".

    Here the share of `faults` after which the run went on to its end by itself or by being resumed, times the
    throughput with faults over the undisturbed one (1 if it was no lower): 1 if faults cost nothing, 0 if none was
    survived. Raises ValueError without faults.
    """
    if not faults:
        raise ValueError("no faults: robustness is not defined")
    return recovered / faults * min(throughput / undisturbed, 1.0)


def performance_index(
    efficiency: float, degradation: float, robust: float, weights: tuple[float, float, float]
) -> float:
    """Eq. 14: `CPI = alpha eta_sys + beta (1 - CDR) + gamma R`.

    The paper gives no weights; with such that add up to 1 the index is 1 for a system that wastes and loses nothing.

    Parameters
    ----------
    efficiency : Eq. 13
    degradation : Eq. 10, in per cent as there; it enters as a ratio
    robust : see `robustness`
    weights : alpha, beta, gamma
    """
    alpha, beta, gamma = weights
    return alpha * efficiency + beta * (1 - degradation / 100) + gamma * robust


def _seconds(values: ArrayLike) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"seconds of one or more devices are expected, not an array of shape {values.shape}")
    return values
