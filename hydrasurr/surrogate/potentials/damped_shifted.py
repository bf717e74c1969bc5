"""Electrostatics without reciprocal space: damped shifted forces."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from hydrasurr.errors import HydrasurrError
from hydrasurr.surrogate.potentials.contract import require_positive
from hydrasurr.surrogate.potentials.coulomb import Charges
from hydrasurr.surrogate.potentials.pairwise import PairPotential
from hydrasurr.surrogate.potentials.splitting import COULOMB


class DampedShiftedForce(PairPotential):
    """Wolf's sum over neutralised spheres, in the form whose force is continuous at the cutoff.

    .. code-block:: text

        U(r) = q_i q_j (erfc(a r)/r - erfc(a R)/R + s (r - R)),   s = erfc(a R)/R^2 + 2 a/sqrt(pi) exp(-a^2 R^2)/R

    with the cutoff R and the damping a; as LAMMPS `pair_style coul/dsf`, but for that style's constant energy of each
    ion, which no pair has. C. J. Fennell and J. D. Gezelter, J. Chem. Phys. 124, 234104 (2006), after D. Wolf et al.,
    J. Chem. Phys. 110, 8254 (1999).

    Parameters
    ----------
    charges : by atomic number, e
    damping : 1/Angstrom; 0: shifted forces without damping
    cutoff : Angstrom

    Raises HydrasurrError for a cutoff that is not positive, or a negative damping.
    """

    def __init__(self, charges: Mapping[int, float], damping: float = 0.2, cutoff: float = 12.0):
        require_positive(cutoff=cutoff)
        if not 0 <= damping < math.inf:
            raise HydrasurrError(f"damping must be 0 or a positive number, got {damping}")
        self.charges, self.damping, self.cutoff = Charges(charges), damping, cutoff
        energy, force = self._damped(torch.tensor([cutoff], dtype=torch.float64))
        self._energy_there, self._force_there = energy.item(), force.item()

    def radial(self, distance: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        strength = COULOMB * self.charges.of(first) * self.charges.of(second)
        energy, force = self._damped(distance)
        line = self._energy_there - self._force_there * (distance - self.cutoff)
        return strength * (energy - line), strength * (force - self._force_there)

    def _damped(self, distance: Tensor) -> tuple[Tensor, Tensor]:
        """erfc(a r)/r and what it falls by for each Angstrom."""
        x = self.damping * distance
        energy = torch.erfc(x) / distance
        return energy, (energy + 2 * self.damping / math.sqrt(math.pi) * torch.exp(-x * x)) / distance
