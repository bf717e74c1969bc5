"""The radial distribution function g(r), and what is read off it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from matplotlib.axes import Axes

from hydrasurr.errors import StructureError, did_you_mean
from hydrasurr.graphs.neighbours import NeighbourList
from hydrasurr.graphs.schema import ELEMENTS
from hydrasurr.graphs.systems import Systems
from hydrasurr.md.frame import Frame, each_system
from hydrasurr.training.figure_style import COLORS, new_axes, styled

WINDOW = 0.2
"""A peak is the vertex of a parabola through the points so near to the highest one, Angstrom."""


class Point(NamedTuple):
    """A peak or a minimum: its place (Angstrom) and the value of g there."""

    r: float
    g: float


class RDF:
    """g(r): the density of atoms at distance r from an atom, in units of the mean density.

    .. code-block:: text

        g_ab(r) = V n_ab(r) / (N_a N_b 4/3 pi ((r + dr)^3 - r^3))

    with `n_ab(r)` the number of ordered pairs of an atom of a and one of b in the shell from r to r + dr, images
    included, and their own image left out. With `N_b` and not `N_b - 1` for alike atoms, an ideal gas gives
    1 - 1/N; freud calls this "exact". Distances may exceed half the cell.

    Parameters
    ----------
    r_max : Angstrom
    bins : shells up to there
    pair : element symbols, such as ("Na", "Cl"): only atoms of the second around those of the first. None: all atoms

    Raises StructureError for an unknown element.
    """

    def __init__(self, r_max: float, bins: int = 200, pair: tuple[str, str] | None = None):
        if r_max <= 0 or bins < 1:
            raise ValueError(f"r_max {r_max} and bins {bins} must be above 0")
        for element in pair or ():
            if element not in atomic_numbers:
                raise StructureError(f"no element '{element}'{did_you_mean(element, ELEMENTS[1:])}")
        self.r_max, self.bins, self.pair = r_max, bins, pair
        self.reset()

    def reset(self) -> None:
        """Forget all frames."""
        self.frames = 0
        self._counts, self._expected, self._centres = np.zeros(self.bins), np.zeros(self.bins), 0

    def compute(self, frames: Frame | Systems | Atoms | Iterable, reset: bool = True) -> RDF:
        """Take one frame or many; `reset=False` adds them to those taken before.

        Raises StructureError for a system that is not periodic in all directions, or has none of the elements.
        """
        if reset:
            self.reset()
        neighbours = NeighbourList(self.r_max)
        for systems in each_system(frames):
            self._add(systems, neighbours)
        return self

    def _add(self, systems: Systems, neighbours: NeighbourList) -> None:
        if not systems.pbc.all():
            raise StructureError("g(r) needs a density, so a system that is periodic in all three directions")
        pairs, numbers = neighbours.pairs(systems), systems.numbers
        distance, ordered, centres, others = pairs.distance, 2, len(numbers), len(numbers)
        if self.pair:
            a, b = (atomic_numbers[element] for element in self.pair)
            first, second = numbers[pairs.i], numbers[pairs.j]
            chosen = ((first == a) & (second == b)) | ((first == b) & (second == a))
            distance, ordered = distance[chosen], 2 if a == b else 1
            centres, others = int((numbers == a).sum()), int((numbers == b).sum())
        if not centres or not others:
            raise StructureError(f"there are no atoms of {' or '.join(self.pair or ('any element',))} in a frame")
        bin_of = (distance * (self.bins / self.r_max)).astype(np.int64)
        self._counts += ordered * np.bincount(bin_of, minlength=self.bins)[: self.bins]
        shells = 4 / 3 * np.pi * np.diff(self.edges**3)
        self._expected += centres * others / systems.volume[0] * shells
        self._centres += centres
        self.frames += 1

    @property
    def edges(self) -> np.ndarray:
        """float64 `[bins + 1]`, Angstrom: the bounds of the shells."""
        return np.linspace(0, self.r_max, self.bins + 1)

    @property
    def r(self) -> np.ndarray:
        """float64 `[bins]`, Angstrom: the middles of the shells."""
        edges = self.edges
        return (edges[1:] + edges[:-1]) / 2

    @property
    def g(self) -> np.ndarray:
        """float64 `[bins]`."""
        self._need_frames()
        return self._counts / self._expected

    @property
    def neighbours_within(self) -> np.ndarray:
        """float64 `[bins]`: the mean number of atoms (of b) around one (of a) up to the outer bound of each shell."""
        self._need_frames()
        return np.cumsum(self._counts) / self._centres

    @property
    def first_peak(self) -> Point:
        """The highest point of the first shell, where g first rises above 1."""
        return self._peak(0)

    @property
    def second_peak(self) -> Point:
        """The highest point of the second shell."""
        return self._peak(1)

    @property
    def first_minimum(self) -> Point:
        """The lowest point between the first shell and the second."""
        shells = self._shells(1)
        start, stop = shells[0][1], shells[1][0] if len(shells) > 1 else self.bins
        return self._vertex(start + int(self.g[start:stop].argmin()), -1)

    @property
    def coordination_number(self) -> float:
        """The mean number of atoms within the first minimum."""
        return float(np.interp(self.first_minimum.r, self.edges[1:], self.neighbours_within))

    @styled
    def plot(self, ax: Axes | None = None, label: str | None = None) -> Axes:
        """Draw g(r) on `ax`, or on a new figure."""
        ax = new_axes((4.2, 2.6))[1] if ax is None else ax
        ax.axhline(1, color=COLORS["muted"], linewidth=0.6)
        ax.plot(self.r, self.g, label=label)
        ax.set(xlabel="r [Å]", ylabel="g(r)", xlim=(0, self.r_max), ylim=(0, None))
        return ax

    def _peak(self, shell: int) -> Point:
        start, stop = self._shells(shell + 1)[shell]
        return self._vertex(start + int(self.g[start:stop].argmax()), 1)

    def _shells(self, least: int) -> list[tuple[int, int]]:
        """The runs of bins where g, smoothed against noise near 1, lies above 1; those that end before r_max."""
        width = max(round(WINDOW * self.bins / self.r_max), 1)
        above = np.convolve(self.g, np.ones(width) / width, "same") > 1
        changes = np.flatnonzero(np.diff(above, prepend=False))
        shells = list(zip(changes[::2].tolist(), changes[1::2].tolist(), strict=False))
        if len(shells) < least:
            raise StructureError(
                f"g(r) up to {self.r_max:g} Angstrom shows {len(shells)} of {least} shells of neighbours: too few "
                "frames, or too small an r_max?"
            )
        return shells

    def _vertex(self, at: int, sign: int) -> Point:
        """The extremum near bin `at`: the vertex of a parabola, unless that bends the other way or lies outside."""
        near = np.abs(self.r - self.r[at]) <= max(WINDOW, 1.01 * self.r_max / self.bins)
        r, g = self.r[near], self.g[near]
        a, b, c = np.polyfit(r - self.r[at], g, 2) if near.sum() >= 3 else (0, 0, 0)
        if sign * a >= 0 or not r[0] <= self.r[at] - b / (2 * a) <= r[-1]:
            return Point(float(self.r[at]), float(self.g[at]))
        return Point(float(self.r[at] - b / (2 * a)), float(c - b * b / (4 * a)))

    def _need_frames(self) -> None:
        if not self.frames:
            raise StructureError("there is no g(r) before compute has taken a frame")
