"""How good a search for molecules was, as a whole."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np


def best_so_far(values: np.ndarray, top: int = 1) -> np.ndarray:
    """float64 `[n]`: the mean of the `top` best of the first k + 1 values (of all, while they are fewer)."""
    best: list[float] = []
    means = []
    for value in np.asarray(values, np.float64).tolist():
        if len(best) < top:
            heapq.heappush(best, value)
        else:
            heapq.heappushpop(best, value)
        means.append(sum(best) / len(best))
    return np.array(means)


def top_auc(values: np.ndarray, top: int, budget: int, every: int = 100) -> float:
    """PMO's score: the area under the mean of the `top` best values over evaluations, divided by their `budget`.

    W. Gao, T. Fu, J. Sun, C. W. Coley, "Sample Efficiency Matters", arXiv:2206.12411: trapezoids between every
    `every`-th evaluation, from 0 before the first; a search that ended early keeps its last mean up to the budget.

    Parameters
    ----------
    values : float64 `[n]`, of different molecules in the order of their evaluation; those beyond the budget do not
        count
    """
    means = best_so_far(values[:budget], top)
    if not len(means):
        return 0.0
    calls = np.array([0, *range(every, len(means), every), len(means), budget])
    heights = np.concatenate([[0.0], means[calls[1:-1] - 1], means[-1:]])
    return float((np.diff(calls) * (heights[1:] + heights[:-1]) / 2).sum() / budget)


def uniqueness(smiles: Sequence[str]) -> float:
    """Different molecules among canonical SMILES, as part of all; 0 of none."""
    return len(set(smiles)) / len(smiles) if smiles else 0.0
