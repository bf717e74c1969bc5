"""Rock salt after Fumi and Tosi: its forces here, and the lines that give them in LAMMPS."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from ase import Atoms

from hydrasurr.graphs.systems import Systems
from hydrasurr.md.engines import Engine, LammpsEngine, OwnEngine, choose_engine
from hydrasurr.md.nacl.settings import NaClStudy
from hydrasurr.md.state import State
from hydrasurr.md.systems import rocksalt
from hydrasurr.surrogate.adapters.lammps_table import write_table
from hydrasurr.surrogate.potentials.born import TOSI_FUMI_NACL, Born
from hydrasurr.surrogate.potentials.contract import Potential, Sum
from hydrasurr.surrogate.potentials.coulomb import Charges, Coulomb, CoulombFar, CoulombNear
from hydrasurr.surrogate.potentials.pair_sum import PairSum
from hydrasurr.surrogate.potentials.pairwise import PairPotential
from hydrasurr.surrogate.potentials.splitting import COULOMB, Splitting, tune
from hydrasurr.surrogate.potentials.table import Table

CHARGES = {11: 1.0, 17: -1.0}
SYMBOLS = ("Na", "Cl")
KINDS = ("Na-Na", "Na-Cl", "Cl-Cl")
TYPES = ((1, 1), (1, 2), (2, 2))
"""LAMMPS' types of KINDS."""
FINER = 1e-2
"""How much more accurate forces to learn from are than those of runs."""


@dataclass(frozen=True)
class Forces:
    """The same forces for both engines: a potential, and lines of LAMMPS input."""

    potential: Potential
    style: str

    def engine(self, study: NaClStudy, state: State) -> Engine:
        """What moves a state by these forces."""
        if choose_engine(study.engine) == "lammps":
            return LammpsEngine(state, self.style, study.timestep_fs, study.skin, CHARGES)
        self.potential.skin = study.skin
        return OwnEngine(state, self.potential, study.timestep_fs)


class RockSalt:
    """The crystal of a study and its forces.

    One splitting of 1/r, that of the study's crystal, holds for all its systems and in both programs, so that "near"
    and "far" mean the same everywhere.
    """

    def __init__(self, study: NaClStudy):
        self.study = study
        self.splitting = self._tune(study.accuracy)
        self.fine = replace(self.splitting, resolution=self._tune(study.accuracy * FINER).resolution)
        self.born = Born(TOSI_FUMI_NACL, study.cutoff)
        self.near = CoulombNear(CHARGES, self.splitting.smearing, study.cutoff)

    def atoms(self, cells: int | None = None) -> Atoms:
        edge = cells or self.study.cells
        return rocksalt("Na", "Cl", self.study.lattice_constant, (edge, edge, edge))

    def crystal(self, cells: int | None = None) -> Systems:
        """The perfect crystal."""
        return Systems.from_ase(self.atoms(cells))

    def coulomb(self, fine: bool = False) -> Coulomb:
        """All of it; `fine`: as accurate as what is learned from."""
        return Coulomb(CHARGES, self.study.cutoff, splitting=self.fine if fine else self.splitting)

    def reference(self) -> Forces:
        """Fumi and Tosi's short range, and Coulomb by P3M; in LAMMPS `born/coul/long` and PPPM."""
        lines = [f"pair_style born/coul/long {self.study.cutoff:.17g}"]
        for (i, j), kind in zip(TYPES, KINDS, strict=True):
            a, rho, sigma, c, d = TOSI_FUMI_NACL[kind]
            lines.append(f"pair_coeff {i} {j} {a:.17g} {rho:.17g} {sigma:.17g} {c:.17g} {d:.17g}")
        lines += ["pair_modify shift yes", *_pppm(self.study.accuracy, self.splitting)]
        return Forces(Sum([self.born, self.coulomb()]), "\n".join(lines))

    def with_table(self, path: Path, short: PairPotential) -> Forces:
        """A table of other short-range forces, over the same Coulomb."""
        lines = write_table(path, short, SYMBOLS).splitlines()
        style = lines[0].replace("pair_style", "pair_style hybrid/overlay", 1) + f" coul/long {self.study.cutoff:.17g}"
        pairs = []
        for line in lines[1:]:
            command, i, j, rest = line.split(maxsplit=3)
            pairs.append(f"{command} {i} {j} table {rest}")
        pppm = _pppm(self.study.accuracy, self.splitting)
        whole = "\n".join([style, *pairs, "pair_coeff * * coul/long", *pppm])
        return Forces(Sum([Table.from_lammps(path), self.coulomb()]), whole)

    def tabled(self, path: Path, short: PairPotential, accuracy: float) -> Forces:
        """One table of the short range and the near part of Coulomb, over PPPM of any accuracy, with the splitting
        that suits it."""
        splitting = self._tune(accuracy)
        near = CoulombNear(CHARGES, splitting.smearing, self.study.cutoff)
        first, *rest = write_table(path, PairSum([short, near]), SYMBOLS).splitlines()
        far = CoulombFar(CHARGES, splitting)
        style = "\n".join([f"{first} pppm", *rest, *_pppm(accuracy, splitting)])
        return Forces(Sum([Table.from_lammps(path), far]), style)

    @staticmethod
    def table_alone(path: Path, everything: PairPotential) -> Forces:
        """A table of all forces, and no reciprocal space."""
        style = write_table(path, everything, SYMBOLS)
        return Forces(Table.from_lammps(path), style)

    def _tune(self, accuracy: float) -> Splitting:
        crystal = self.crystal()
        charges = Charges(CHARGES).of(torch.from_numpy(crystal.numbers))
        return tune(crystal, charges, self.study.cutoff, "p3m", accuracy * COULOMB)


def _pppm(accuracy: float, splitting: Splitting) -> list[str]:
    damping = 1 / (math.sqrt(2) * splitting.smearing)
    return [f"kspace_style pppm {accuracy:.17g}", f"kspace_modify gewald {damping:.17g}"]
