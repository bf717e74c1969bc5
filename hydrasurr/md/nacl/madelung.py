"""Madelung's constant of rock salt, which every sum of charges must give."""

from __future__ import annotations

from ase import Atoms

from hydrasurr.graphs.systems import Systems
from hydrasurr.md.nacl.model import CHARGES
from hydrasurr.md.systems import rocksalt
from hydrasurr.surrogate.potentials.coulomb import Coulomb
from hydrasurr.surrogate.potentials.splitting import COULOMB, Method

MADELUNG = 1.7475645946331822
"""Of NaCl, for the distance of neighbours: OEIS A085469, from series that converge much faster than any sum here."""
EWALD_ACCURACY = 1e-10
P3M_ACCURACIES = (1e-2, 1e-3, 1e-4, 1e-5)
"""eV/Angstrom, asked for."""


def madelung(method: Method, accuracy: float, cutoff: float = 8.5, cells: int = 4) -> float:
    """Madelung's constant by the potential of this package.

    From the energy of a perfect crystal of `8 cells^3` ions: `-M k / d` for each pair of ions, with d the distance
    of neighbours.
    """
    atoms: Atoms = rocksalt(cells=(cells, cells, cells))
    energy = Coulomb(CHARGES, cutoff, method, accuracy).evaluate(Systems.from_ase(atoms)).energy[0]
    neighbours = atoms.cell[0, 0] / cells / 2
    return float(-energy / (len(atoms) / 2) * neighbours / COULOMB)
