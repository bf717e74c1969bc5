"""The one contract of everything that gives energies and forces."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from hydrasurr.errors import HydrasurrError, StructureError
from hydrasurr.graphs.neighbours import NeighbourList, Pairs
from hydrasurr.graphs.schema import ELEMENTS
from hydrasurr.graphs.systems import Systems

TOO_CLOSE = 1e-3
"""Angstrom; nearer atoms are to blame for energies and forces that are no numbers."""


@dataclass(frozen=True)
class Evaluation:
    """What a potential says of `S` systems with `N` atoms in all.

    Attributes
    ----------
    energy : float64 `[S]`, eV
    forces : float64 `[N, 3]`, eV/Angstrom, `-dE/dx`
    virial : float64 `[S, 3, 3]`, eV, symmetric: `W = -dE/de` for a strain `e` that takes each x to `(1 + e) x`; for
        pairs `W = sum r (x) f` with f the force on the atom that r points to. So the pressure of a fluid is
        `(N kT + tr W / 3) / V`.
    """

    energy: np.ndarray
    forces: np.ndarray
    virial: np.ndarray

    def __add__(self, other: Evaluation) -> Evaluation:
        return replace(  # so that what a kind of evaluation knows besides stays
            self,
            energy=self.energy + other.energy,
            forces=self.forces + other.forces,
            virial=self.virial + other.virial,
        )

    def stress(self, systems: Systems) -> np.ndarray:
        """float64 `[S, 3, 3]`, eV/Angstrom^3, `-W / V`: positive where the system pulls, as in ASE. Needs cells."""
        return -self.virial / systems.volume[:, None, None]


class Potential(ABC):
    """Energy, forces and virial of atomic systems; float64 in and out, eV and Angstrom.

    A potential keeps its neighbour list from call to call, so use one object for each system that moves; `skin`
    makes the calls of a trajectory cheaper and changes nothing else. A new potential gives a `cutoff` and `compute`.

    Attributes
    ----------
    cutoff : Angstrom; no pair farther apart matters to `compute`
    """

    cutoff: float
    _neighbours: NeighbourList | None = None
    _skin: float = 0.0

    @abstractmethod
    def compute(self, systems: Systems, pairs: Pairs) -> Evaluation:
        """Evaluate systems whose pairs (a half list up to at least `cutoff`) are known."""

    @property
    def skin(self) -> float:
        """Verlet skin of the neighbour list, Angstrom."""
        return self._skin

    @skin.setter
    def skin(self, skin: float) -> None:
        if not 0 <= skin < math.inf:
            raise HydrasurrError(f"the skin of a neighbour list must be 0 or more Angstrom, got {skin}")
        self._skin, self._neighbours = skin, None

    @property
    def neighbours(self) -> NeighbourList:
        """The neighbour list that `evaluate` uses."""
        if self._neighbours is None:
            self._neighbours = NeighbourList(self.cutoff, self._skin)
        return self._neighbours

    def __call__(
        self, numbers: ArrayLike, positions: ArrayLike, cell: ArrayLike | None = None, pbc: ArrayLike = False
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Energy, forces `[N, 3]` and virial `[3, 3]` of one system; see Systems.single, evaluate and Evaluation."""
        result = self.evaluate(Systems.single(numbers, positions, cell, pbc))
        return float(result.energy[0]), result.forces, result.virial[0]

    def evaluate(self, systems: Systems) -> Evaluation:
        """Find the pairs and evaluate all systems together.

        Raises StructureError, naming the atoms, if two of them are at one point, where there are no forces.
        """
        pairs = self.neighbours.pairs(systems)
        result = self.compute(systems, pairs)
        # A force that is no number shows up in the virial: looking there costs nothing, whatever the number of atoms.
        if not (np.isfinite(result.energy).all() and np.isfinite(result.virial).all()):
            _require_apart(systems, pairs)
        return result


def _require_apart(systems: Systems, pairs: Pairs) -> None:
    """Raises StructureError if the two nearest atoms are as good as at one point."""
    if not len(pairs) or pairs.distance.min() >= TOO_CLOSE:
        return
    nearest = int(pairs.distance.argmin())
    system, (first, second) = atoms_of(systems, pairs, nearest)
    image = ", across the border of the cell," if pairs.shift[nearest].any() else ""
    raise StructureError(
        f"atoms {first} and {second}{system}{image} are {pairs.distance[nearest]:.3g} Angstrom apart, so their forces "
        "are no numbers: is one of them there twice, or is the cell wrong?"
    )


def atoms_of(systems: Systems, pairs: Pairs, pair: int) -> tuple[str, tuple[str, str]]:
    """A pair in words: `" of system 2"` (empty if there is one system only) and two of `"7 (Na)"`, for messages."""
    index = int(np.searchsorted(systems.offset, pairs.i[pair], side="right")) - 1
    first, second = (
        f"{end - systems.offset[index]} ({ELEMENTS[systems.numbers[end]]})" for end in (pairs.i[pair], pairs.j[pair])
    )
    return f" of system {index}" if len(systems) > 1 else "", (first, second)


def require_positive(**parameters: float) -> None:
    """Raises HydrasurrError, naming it, for the first parameter that is no positive, finite number."""
    for name, value in parameters.items():
        if not 0 < value < math.inf:
            raise HydrasurrError(f"{name} must be a positive number, got {value}")


class Sum(Potential):
    """The sum of potentials, which share one neighbour list of the largest cutoff."""

    def __init__(self, terms: Sequence[Potential]):
        if not terms:
            raise ValueError("a sum needs at least one potential")
        self.terms = tuple(terms)
        self.cutoff = max(term.cutoff for term in terms)

    def compute(self, systems: Systems, pairs: Pairs) -> Evaluation:
        first, *rest = (term.compute(systems, pairs.within(term.cutoff)) for term in self.terms)
        return sum(rest, first)
