"""Prioritised experience replay. T. Schaul et al., arXiv:1511.05952."""

from __future__ import annotations

import numpy as np

SMALLEST = 1e-6
"""Added to errors, so that nothing is forgotten for good."""


def priority(error: np.ndarray, exponent: float) -> np.ndarray:
    """`(|error| + SMALLEST)^exponent`, by which transitions are drawn; exponent 0: all alike."""
    return (np.abs(error) + SMALLEST) ** exponent


def importance(probability: np.ndarray, size: int, exponent: float) -> np.ndarray:
    """Weights that undo the choice, `(size probability)^-exponent`, over the largest of them."""
    weight = (size * np.asarray(probability)) ** -exponent
    return weight / weight.max()


def exploration(actor: int, actors: int, base: float = 0.4, power: float = 7.0) -> float:
    """How often an actor takes a random action, `base^(1 + power actor / (actors - 1))`.

    D. Horgan et al., arXiv:1803.00933, section 4.
    """
    return base ** (1 + power * actor / max(actors - 1, 1))
