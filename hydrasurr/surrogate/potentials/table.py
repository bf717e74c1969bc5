"""Pair potentials given by numbers on a grid of distances."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from hydrasurr.errors import HydrasurrError
from hydrasurr.surrogate.potentials.elements import PairKinds, atomic_number
from hydrasurr.surrogate.potentials.lammps_file import read_lammps_table
from hydrasurr.surrogate.potentials.pairwise import PairPotential


class Table(PairPotential):
    """U(r) interpolated between the points of a grid by cubic polynomials.

    Each polynomial has the given U and dU/dr = -F at both ends of its interval (cubic Hermite), and the force is its
    exact derivative: energy is conserved whatever the numbers are, and U and F have no jumps. Below the first
    distance the force goes on along a straight line; the last distance is the cutoff.

    Parameters
    ----------
    distance : `[K]`, Angstrom, increasing; evenly spaced grids are faster
    energy, force : by pair of elements, such as `{"Na-Cl": array}`: `[K]`, U in eV and -dU/dr in eV/Angstrom

    Raises HydrasurrError for grids and arrays that do not fit, or values that are no numbers.
    """

    def __init__(self, distance: ArrayLike, energy: Mapping[str, ArrayLike], force: Mapping[str, ArrayLike]):
        grid = np.asarray(distance, np.float64)
        if grid.ndim != 1 or len(grid) < 2 or not np.isfinite(grid).all() or grid[0] <= 0 or (np.diff(grid) <= 0).any():
            raise HydrasurrError("the distances of a table must be two or more increasing positive numbers")
        if set(energy) != set(force):
            raise HydrasurrError(f"energies are for the pairs {', '.join(energy)}, forces for {', '.join(force)}")
        self.cutoff = float(grid[-1])
        self._kinds = PairKinds(energy)
        self._grid, self._width = torch.from_numpy(grid), torch.from_numpy(np.diff(grid))
        self._even = bool(np.allclose(np.diff(grid), grid[1] - grid[0], rtol=1e-9, atol=0))
        self._cubics = torch.cat([_cubics(grid, _column(energy, k, grid), _column(force, k, grid)) for k in energy])

    @classmethod
    def from_potential(
        cls, potential: PairPotential, pairs: tuple[str, ...], inner: float, points: int = 2000
    ) -> Table:
        """`points` distances from `inner` to the cutoff of any pair potential, for pairs of elements: `("Na-Cl",)`.

        Raises ConfigError for what are no pairs of elements.
        """
        PairKinds(pairs)
        grid = torch.linspace(inner, potential.cutoff, points, dtype=torch.float64)
        energy, force = {}, {}
        with torch.inference_mode():
            for pair in pairs:
                first, second = (torch.full((points,), atomic_number(symbol)) for symbol in pair.split("-"))
                columns = potential.radial(*(tensor.to(potential.device) for tensor in (grid, first, second)))
                energy[pair], force[pair] = (column.cpu().numpy() for column in columns)
        return cls(grid.numpy(), energy, force)

    @classmethod
    def from_lammps(cls, path: str | Path, pairs: Mapping[str, str] | None = None) -> Table:
        """Tables of a file for LAMMPS' `pair_style table`; `pairs` says which section is for which pair of elements.

        Default: each section is named after its pair. Raises HydrasurrError if the file cannot be read, lacks a
        section, or has sections of different distances.
        """
        sections = read_lammps_table(path)
        pairs = pairs or {name: name for name in sections}
        for name in pairs.values():
            if name not in sections:
                raise HydrasurrError(f"'{path}' has no section '{name}'; it has {', '.join(sections)}")
        chosen = {pair: sections[name] for pair, name in pairs.items()}
        grid, *others = (section.distance for section in chosen.values())
        if any(not np.array_equal(grid, other) for other in others):
            raise HydrasurrError(f"'{path}': the sections {', '.join(pairs.values())} must have the same distances")
        return cls(grid, {p: s.energy for p, s in chosen.items()}, {p: s.force for p, s in chosen.items()})

    def radial(self, distance: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        grid, width, cubics = (tensor.to(distance.device) for tensor in (self._grid, self._width, self._cubics))
        inside = torch.maximum(distance, grid[0])
        below = inside - distance
        if self._even:
            interval = ((inside - grid[0]) / width[0]).long().clamp(max=len(width) - 1)
        else:
            interval = (torch.searchsorted(grid, inside, right=True) - 1).clamp(max=len(width) - 1)
        c0, c1, c2, c3 = cubics[self._kinds.of(first, second) * len(width) + interval].unbind(1)
        x = inside - grid[interval]
        energy, force = c0 + x * (c1 + x * (c2 + x * c3)), -(c1 + x * (2 * c2 + x * 3 * c3))
        stiffness = 2 * c2 * (below > 0)  # d2U/dr2 at the first point, where x is 0
        return energy + below * (force + below * stiffness / 2), force + below * stiffness


def _column(columns: Mapping[str, ArrayLike], pair: str, grid: np.ndarray) -> np.ndarray:
    column = np.asarray(columns[pair], np.float64)
    if column.shape != grid.shape or not np.isfinite(column).all():
        raise HydrasurrError(f"the table of {pair} needs {len(grid)} finite energies and as many forces")
    return column


def _cubics(grid: np.ndarray, energy: np.ndarray, force: np.ndarray) -> Tensor:
    """float64 `[K - 1, 4]`: coefficients of powers of the distance from the lower end of each interval."""
    width, slope = np.diff(grid), np.diff(energy) / np.diff(grid)
    low, high = -force[:-1], -force[1:]
    square = (3 * slope - 2 * low - high) / width
    cube = (low + high - 2 * slope) / width**2
    return torch.from_numpy(np.stack([energy[:-1], low, square, cube], 1))
