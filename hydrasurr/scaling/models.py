"""What an all-reduce costs: time as a function of ranks and message size, linear in a latency and an inverse bandwidth.

Symbols: N ranks, S bytes of message, alpha seconds a message, beta seconds a byte (Eq. 6: T = alpha + beta S).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class AllReduceModel:
    """T(N, S) = messages(N) alpha + volume(N) S beta."""

    title: str
    formula: str
    source: str
    messages: Callable[[np.ndarray], np.ndarray]
    """How many messages follow one another."""
    volume: Callable[[np.ndarray], np.ndarray]
    """How many times the size of the message each rank sends."""

    def seconds(self, ranks: ArrayLike, size: ArrayLike, alpha: ArrayLike, beta: ArrayLike) -> np.ndarray:
        """Time of one all-reduce of `size` bytes over `ranks` ranks; 0 for one rank. Arguments are broadcast."""
        ranks = np.asarray(ranks, float)
        return self.messages(ranks) * alpha + self.volume(ranks) * np.asarray(size, float) * beta

    def design(self, ranks: ArrayLike, size: ArrayLike) -> np.ndarray:
        """`[n, 2]`: what alpha and beta are multiplied with."""
        ranks = np.asarray(ranks, float)
        return np.stack([self.messages(ranks), self.volume(ranks) * np.asarray(size, float)], axis=-1)


MODELS = {
    "ring": AllReduceModel(
        "ring",
        "2(N-1) alpha + 2(N-1)/N S beta",
        "Patarasuk and Yuan 2009, doi:10.1016/j.jpdc.2008.09.002",
        lambda n: 2 * (n - 1),
        lambda n: 2 * (n - 1) / n,
    ),
    "tree": AllReduceModel(
        "halving and doubling",
        "2 log2(N) alpha + 2(N-1)/N S beta",
        "Thakur, Rabenseifner and Gropp 2005, doi:10.1177/1094342005051521",
        lambda n: 2 * np.log2(n),
        lambda n: 2 * (n - 1) / n,
    ),
    "eq7": AllReduceModel(
        "Eq. 7 as printed",
        "log2(N) (alpha + S/N beta)",
        "Zielinski 2025, Eq. 7",
        np.log2,
        lambda n: np.log2(n) / n,
    ),
}
"""Standard models first. Eq. 7 lets the time of large messages vanish as N grows, though every rank has to receive
(N-1)/N S bytes at least: trust it within the rank counts it was fitted to."""
