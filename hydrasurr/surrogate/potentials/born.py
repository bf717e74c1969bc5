"""The Born-Mayer-Huggins potential of ions, without their charges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from hydrasurr.errors import HydrasurrError
from hydrasurr.surrogate.potentials.contract import require_positive
from hydrasurr.surrogate.potentials.elements import PairKinds
from hydrasurr.surrogate.potentials.pairwise import PairPotential

JOULE = 1 / 1.602176634e-19
"""In eV."""


class BornTerms(NamedTuple):
    """`U(r) = a exp((sigma - r) / rho) - c / r^6 + d / r^8` of one pair of elements, as LAMMPS `pair_style born`.

    `a` in eV, `rho` and `sigma` in Angstrom, `c` in eV Angstrom^6, `d` in eV Angstrom^8. Note that `d` is added:
    the dipole-quadrupole attraction of the alkali halides has a negative one.
    """

    a: float
    rho: float
    sigma: float
    c: float
    d: float


def _tosi_fumi(pauling: float, sigma: float, c: float, d: float) -> BornTerms:
    """From the units of the papers: `b` and `c` in 1e-19 J (times Angstrom^6), `d` (Angstrom^8) as there attractive."""
    unit = 1e-19 * JOULE
    return BornTerms(a=0.338 * unit * pauling, rho=0.317, sigma=sigma, c=c * unit, d=-d * unit)


TOSI_FUMI_NACL: Mapping[str, BornTerms] = {
    "Na-Na": _tosi_fumi(1.25, 1.170 + 1.170, 1.68, 0.8),
    "Na-Cl": _tosi_fumi(1.0, 1.170 + 1.585, 11.2, 13.9),
    "Cl-Cl": _tosi_fumi(0.75, 1.585 + 1.585, 116.0, 233.0),
}
"""Rock salt: b = 0.338e-19 J times Pauling's factors, ionic radii 1.170 and 1.585 Angstrom, rho = 0.317 Angstrom, and
Mayer's dispersion coefficients. F. G. Fumi and M. P. Tosi, J. Phys. Chem. Solids 25, 31 (1964); M. P. Tosi and
F. G. Fumi, ibid. 25, 45 (1964). To be used with charges of +1 and -1, see Coulomb."""


class Born(PairPotential):
    """Born-Mayer-Huggins up to the cutoff.

    Parameters
    ----------
    pairs : by pair of elements, such as `{"Na-Cl": BornTerms(...)}`
    cutoff : Angstrom
    shift : add constants within the cutoff, so that U is 0 there (it jumps otherwise); forces do not change

    At small distances the attraction wins, and ions fuse: see RangeGuard for systems that are far from equilibrium.
    Raises HydrasurrError for a cutoff or `rho` that is not positive, and terms that are no finite numbers.
    """

    def __init__(self, pairs: Mapping[str, BornTerms] = TOSI_FUMI_NACL, cutoff: float = 10.0, shift: bool = True):
        require_positive(cutoff=cutoff)
        self.cutoff = cutoff
        self._kinds = PairKinds(pairs)
        terms = torch.tensor(list(pairs.values()), dtype=torch.float64)
        for name, values, finite in zip(pairs, pairs.values(), terms.isfinite().all(1).tolist(), strict=True):
            if not finite or values.rho <= 0:
                raise HydrasurrError(f"the terms of {name} must be finite numbers, and rho positive; got {values}")
        at_cutoff, _ = _energy_and_force(torch.tensor(cutoff, dtype=torch.float64), terms)
        self._terms, self._at_cutoff = terms, at_cutoff if shift else torch.zeros_like(at_cutoff)

    def radial(self, distance: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        kinds = self._kinds.of(first, second)
        energy, force = _energy_and_force(distance, self._terms.to(distance.device)[kinds])
        return energy - self._at_cutoff.to(distance.device)[kinds], force


def _energy_and_force(distance: Tensor, terms: Tensor) -> tuple[Tensor, Tensor]:
    """Of pairs with `terms` `[P, 5]`; the force is -dU/dr."""
    a, rho, sigma, c, d = terms.unbind(1)
    repulsion = a * torch.exp((sigma - distance) / rho)
    square = 1 / (distance * distance)
    dipoles = c * square * square * square
    quadrupoles = d * square * square * square * square
    return repulsion - dipoles + quadrupoles, repulsion / rho + (8 * quadrupoles - 6 * dipoles) / distance
