"""The sum of pair potentials as one pair potential."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hydrasurr.surrogate.potentials.pairwise import PairPotential


class PairSum(PairPotential):
    """As Sum, but still a function of the distance, so that one table can hold it.

    Each term counts up to its own cutoff.
    """

    def __init__(self, terms: Sequence[PairPotential]):
        if not terms:
            raise ValueError("a sum needs at least one potential")
        self.terms = tuple(terms)
        self.cutoff = max(term.cutoff for term in terms)
        self.chunk = max(term.chunk for term in terms)
        # Formulas go along to wherever their distances are; networks stay on the device of their weights.
        self.device = next((term.device for term in terms if term.device.type != "cpu"), PairPotential.device)

    def radial(self, distance: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        energy, force = torch.zeros_like(distance), torch.zeros_like(distance)
        for term in self.terms:
            rows = (distance <= term.cutoff).nonzero()[:, 0]
            parts = term.radial(distance[rows], first[rows], second[rows])
            energy.index_add_(0, rows, parts[0])
            force.index_add_(0, rows, parts[1])
        return energy, force
