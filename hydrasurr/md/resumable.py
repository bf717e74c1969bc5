"""A potential whose neighbour list can be brought back, so that a resumed run equals an uninterrupted one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hydrasurr.graphs.neighbours import Pairs
from hydrasurr.graphs.systems import Systems
from hydrasurr.surrogate.potentials.contract import Evaluation, Potential

MOST_MOVED = 0.49
"""Part of the skin an atom may move before the list is searched again: just less than where it would be by itself."""


class Resumable(Potential):
    """The same energies and forces as `potential`, to the last bit whether or not the run was interrupted.

    Forces are sums over pairs, and a sum's last bits depend on the order of its terms: that of the neighbour list,
    which depends on the positions at which it was searched. So this object decides when that is, and remembers the
    positions, the `anchor`; a run that resumes searches there first.

    Parameters
    ----------
    potential : its skin is the one that counts; nothing else may use it meanwhile. The cell must stay as it is

    Attributes
    ----------
    anchor : positions at the last search, float64 `[N, 3]`; None before the first one and without a skin
    last : the last evaluation
    """

    def __init__(self, potential: Potential):
        self.potential, self.cutoff = potential, potential.cutoff
        self.anchor: np.ndarray | None = None
        self.last: Evaluation | None = None

    def compute(self, systems: Systems, pairs: Pairs) -> Evaluation:
        return self.potential.compute(systems, pairs)

    def evaluate(self, systems: Systems) -> Evaluation:
        skin = self.potential.skin
        if skin and self._moved(systems.positions) > MOST_MOVED * skin:
            self.potential.skin = skin  # which forgets the neighbour list
            self.anchor = systems.positions.copy()
        self.last = self.potential.evaluate(systems)
        return self.last

    def resume(self, systems: Systems, anchor: np.ndarray | None) -> None:
        """Bring the neighbour list back that `systems` had when `anchor` was saved."""
        if anchor is not None:
            self.anchor = None
            self.evaluate(replace(systems, positions=anchor))

    def _moved(self, positions: np.ndarray) -> float:
        """The farthest that an atom has gone since the last search, Angstrom."""
        if self.anchor is None or self.anchor.shape != positions.shape:
            return np.inf
        step = positions - self.anchor
        return float(np.sqrt(np.einsum("ij,ij->i", step, step).max()))
