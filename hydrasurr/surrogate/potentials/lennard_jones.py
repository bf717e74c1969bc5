"""The Lennard-Jones potential."""

from __future__ import annotations

from torch import Tensor

from hydrasurr.surrogate.potentials.contract import require_positive
from hydrasurr.surrogate.potentials.pairwise import PairPotential


class LennardJones(PairPotential):
    """`U(r) = 4 epsilon ((sigma / r)^12 - (sigma / r)^6)` up to the cutoff, between atoms of any element.

    Parameters
    ----------
    epsilon : depth, eV
    sigma : U(sigma) = 0, Angstrom
    cutoff : Angstrom
    shift : add a constant within the cutoff, so that U is 0 there (it jumps otherwise); forces do not change

    Raises HydrasurrError for parameters that are not positive.
    """

    def __init__(self, epsilon: float, sigma: float, cutoff: float, shift: bool = True):
        require_positive(epsilon=epsilon, sigma=sigma, cutoff=cutoff)
        self.epsilon, self.sigma, self.cutoff = epsilon, sigma, cutoff
        attraction = (sigma / cutoff) ** 6
        self._at_cutoff = 4 * epsilon * (attraction**2 - attraction) if shift else 0.0

    def radial(self, distance: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        ratio = self.sigma / distance
        square = ratio * ratio
        attraction = square * square * square
        repulsion = attraction * attraction
        energy = 4 * self.epsilon * (repulsion - attraction) - self._at_cutoff
        return energy, 24 * self.epsilon * (2 * repulsion - attraction) / distance
