"""Pair potentials as tables for LAMMPS' `pair_style table`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import torch

from hydrasurr.errors import HydrasurrError, did_you_mean
from hydrasurr.surrogate.adapters.lammps_library import ENERGY_UNITS
from hydrasurr.surrogate.potentials.contract import Potential
from hydrasurr.surrogate.potentials.elements import atomic_number, pair_name
from hydrasurr.surrogate.potentials.pairwise import PairPotential

NODES, WEIGHTS = np.polynomial.legendre.leggauss(4)
"""Gauss-Legendre quadrature on [-1, 1], exact for polynomials of degree 7."""


def write_table(
    path: str | Path,
    potential: Potential,
    elements: Sequence[str],
    inner: float | None = None,
    points: int = 4000,
    style: str = "spline",
    units: str = "metal",
) -> str:
    """Write a table of a pair potential, and return the lines of LAMMPS input that use it.

    The energy is integrated from the force, inwards from the potential's own value at the cutoff, so that the table
    conserves energy whatever the potential says of its own. The distances are evenly spaced in r^2, as LAMMPS
    interpolates, so that it takes the table over as it is.

    Parameters
    ----------
    path : of the file, with one table for each pair of elements; the lines name it as given here
    potential : a PairPotential; with a range guard around it the table goes on below its range
    elements : symbols of LAMMPS' atom types, that of type 1 first
    inner : smallest distance, Angstrom; LAMMPS stops with an error when atoms come closer. Default: a tenth of the
        cutoff
    points : of the table, where U and F are exact
    style : how LAMMPS interpolates: `spline`, or `linear`, which is faster and needs many more points for the same
        accuracy
    units : of LAMMPS; it converts a table in metal units itself where it uses real ones. For lj units see
        lammps_library.ENERGY_UNITS

    Raises HydrasurrError for a potential that is more than a function of distance, and for other parameters than these.
    """
    if not isinstance(potential, PairPotential):
        raise HydrasurrError(
            f"a {type(potential).__name__} is no pair potential, so no table can hold it: give the terms of a sum "
            "one table each (pair_style hybrid/overlay), and call others by lammps_external"
        )
    for name, value, known in (("style", style, ("spline", "linear")), ("units", units, tuple(ENERGY_UNITS))):
        if value not in known:
            raise HydrasurrError(f"no {name} '{value}' of a LAMMPS table{did_you_mean(value, known)}")
    if not elements:
        raise HydrasurrError("a LAMMPS table needs the elements of the atom types, such as ['Na', 'Cl']")
    inner = potential.cutoff / 10 if inner is None else inner
    if not 0 < inner < potential.cutoff or points < 10:
        raise HydrasurrError(
            f"inner {inner} must lie between 0 and the cutoff {potential.cutoff}, and points ({points}) be 10 or more"
        )
    squares = np.linspace(inner**2, potential.cutoff**2, points)
    numbers = [atomic_number(element) for element in elements]
    sections = [
        _section(pair_name(a, b), squares, *_tabulate(potential, squares, a, b), ENERGY_UNITS[units])
        for a, b in combinations_with_replacement(sorted(set(numbers)), 2)
    ]
    lines = [f"pair_style table {style} {points}"] + [
        f'pair_coeff {i} {j} "{path}" {pair_name(a, b)} {potential.cutoff}'
        for (i, a), (j, b) in combinations_with_replacement(enumerate(numbers, start=1), 2)
    ]
    header = "".join(f"# {line}\n" for line in [f"UNITS: {units}", "use with:", *lines])
    Path(path).write_text("\n".join([header, *sections]), encoding="utf-8")
    return "\n".join(lines) + "\n"


def _tabulate(potential: PairPotential, squares: np.ndarray, a: int, b: int) -> tuple[np.ndarray, np.ndarray]:
    """Energy, integrated, and force at distances given by their squares."""
    distance = np.sqrt(squares)
    middle, half = (distance[1:] + distance[:-1]) / 2, np.diff(distance) / 2
    between = middle[:, None] + half[:, None] * NODES
    edge, force = _radial(potential, distance, a, b)
    work = half * (_radial(potential, between.ravel(), a, b)[1].reshape(between.shape) @ WEIGHTS)
    return edge[-1] + np.append(np.cumsum(work[::-1])[::-1], 0), force


@torch.inference_mode()
def _radial(potential: PairPotential, distance: np.ndarray, a: int, b: int) -> list[np.ndarray]:
    parts = []
    for r in torch.from_numpy(distance).to(potential.device).split(potential.chunk):
        first, second = (torch.full(r.shape, number, device=r.device) for number in (a, b))
        parts.append(potential.radial(r, first, second))
    return [torch.cat(values).cpu().numpy() for values in zip(*parts, strict=True)]


def _section(name: str, squares: np.ndarray, energy: np.ndarray, force: np.ndarray, unit: float) -> str:
    distance = np.sqrt(squares)
    slopes = np.gradient(force, distance, edge_order=2)[[0, -1]] * unit
    rows = np.column_stack([distance, energy * unit, force * unit]).tolist()
    head = f"N {len(rows)} RSQ {rows[0][0]} {rows[-1][0]} FPRIME {slopes[0]} {slopes[1]}"
    body = "\n".join(f"{k} {r} {u} {f}" for k, (r, u, f) in enumerate(rows, start=1))
    return f"{name}\n{head}\n\n{body}\n"
