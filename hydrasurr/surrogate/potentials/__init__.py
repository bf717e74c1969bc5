"""Energies, forces and virials: one contract, and what implements it."""

from hydrasurr.surrogate.potentials.born import TOSI_FUMI_NACL, Born, BornTerms
from hydrasurr.surrogate.potentials.contract import Evaluation, Potential, Sum
from hydrasurr.surrogate.potentials.coulomb import Coulomb, CoulombFar, CoulombNear, Splitting
from hydrasurr.surrogate.potentials.guard import RangeGuard, guarded
from hydrasurr.surrogate.potentials.lennard_jones import LennardJones
from hydrasurr.surrogate.potentials.load import load_potential
from hydrasurr.surrogate.potentials.pairwise import PairPotential
from hydrasurr.surrogate.potentials.table import Table

__all__ = [
    "TOSI_FUMI_NACL",
    "Born",
    "BornTerms",
    "Coulomb",
    "CoulombFar",
    "CoulombNear",
    "Evaluation",
    "LennardJones",
    "PairPotential",
    "Potential",
    "RangeGuard",
    "Splitting",
    "Sum",
    "Table",
    "guarded",
    "load_potential",
]
