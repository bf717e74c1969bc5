"""Guards for learned potentials: what to do where atoms come closer than anything the potential was trained on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from hydrasurr.errors import HydrasurrError
from hydrasurr.graphs.neighbours import Pairs
from hydrasurr.graphs.systems import Systems
from hydrasurr.surrogate.potentials.contract import Evaluation, Potential, Sum, atoms_of, require_positive
from hydrasurr.surrogate.potentials.elements import PairKinds
from hydrasurr.surrogate.potentials.pairwise import PairPotential

STIFFNESS = 50.0
"""eV/Angstrom^2, of the repulsion added to networks: stiffer than most single bonds."""


class RangeGuard(Potential):
    """Counts the pairs that are closer than `r_min`, or stops at the first; see `guarded` for how to make one.

    Attributes
    ----------
    potential : what is guarded
    r_min : below this distance the potential knows nothing, Angstrom; one for all pairs, or by pair of elements
        (`{"O-H": 0.7}`; those not named are not guarded)
    stop : raise HydrasurrError at a pair that is too close
    seen, below : pairs counted so far, and those closer than `r_min`
    smallest : the smallest distance so far, Angstrom
    """

    def __init__(self, potential: Potential, r_min: float | Mapping[str, float], stop: bool = False):
        by_pair = isinstance(r_min, Mapping)
        bounds = list(r_min.values()) if by_pair else [r_min]
        if not bounds or not all(0 < bound < potential.cutoff for bound in bounds):
            raise HydrasurrError(f"r_min must lie between 0 and the cutoff of {potential.cutoff} Angstrom, got {r_min}")
        self.potential, self.r_min, self.stop = potential, r_min, stop
        self.cutoff = potential.cutoff
        self._bounds = _bounds(r_min) if by_pair else None
        self.reset()

    def reset(self) -> None:
        """Count from zero."""
        self.seen, self.below, self.smallest = 0, 0, float("inf")

    @property
    def fraction_below(self) -> float:
        """The part of all pairs so far that were too close; 0 before the first."""
        return self.below / max(self.seen, 1)

    def bound(self, first: Tensor, second: Tensor) -> Tensor:
        """float64 `[P]`: the smallest distance of training for pairs of atomic numbers, Angstrom; 0 without one."""
        if self._bounds is None:
            return torch.full(first.shape, self.r_min, dtype=torch.float64, device=first.device)
        return self._bounds.to(first.device)[first, second]

    def count(self, systems: Systems, pairs: Pairs) -> np.ndarray:
        """Count pairs; bool `[P]`: which are too close. Raises HydrasurrError if there are some and `stop` is set."""
        if self._bounds is None:
            close = pairs.distance < self.r_min
        else:
            first, second = (torch.from_numpy(systems.numbers[atom]) for atom in (pairs.i, pairs.j))
            close = pairs.distance < self.bound(first, second).numpy()
        self.seen += len(pairs)
        self.below += int(close.sum())
        self.smallest = min(self.smallest, float(pairs.distance.min(initial=np.inf)))
        if self.stop and close.any():
            closest = int(np.argmin(np.where(close, pairs.distance, np.inf)))
            raise HydrasurrError(self._describe(systems, pairs, closest))
        return close

    def _describe(self, systems: Systems, pairs: Pairs, pair: int) -> str:
        numbers = torch.from_numpy(systems.numbers[[pairs.i[pair], pairs.j[pair]]])
        bound = float(self.bound(numbers[:1], numbers[1:]))
        where, (first, second) = atoms_of(systems, pairs, pair)
        return (
            f"atoms {first} and {second}{where} are {pairs.distance[pair]:.4g} Angstrom apart; the potential was "
            f"trained down to {bound:.4g}: its forces mean nothing there (a smaller time step, a relaxed start, or "
            "training data with closer atoms may help)"
        )


class RadialGuard(RangeGuard, PairPotential):
    """A guard around a pair potential: below `r_min` its force goes on along a straight line.

    Energy and force have no jump. The line has the slope of the force at `r_min`, or `stiffness` (eV/Angstrom^2)
    where that is given or the force does not rise towards smaller distances.
    """

    def __init__(
        self,
        potential: PairPotential,
        r_min: float | Mapping[str, float],
        stop: bool = False,
        stiffness: float | None = None,
    ):
        super().__init__(potential, r_min, stop)
        if stiffness is not None:
            require_positive(stiffness=stiffness)
        self.stiffness, self.chunk, self.device = stiffness, potential.chunk, potential.device

    def compute(self, systems: Systems, pairs: Pairs) -> Evaluation:
        pairs = pairs.within(self.cutoff)
        self.count(systems, pairs)
        return PairPotential.compute(self, systems, pairs)

    def radial(self, distance: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        bound = self.bound(first, second)
        allowed = torch.maximum(distance, bound)
        depth = allowed - distance
        energy, force = self.potential.radial(allowed, first, second)
        close = depth.nonzero().squeeze(1)
        if len(close):
            inside, edge = depth[close], bound[close]
            slope = self._slope(edge, first[close], second[close])
            energy = energy.index_add(0, close, inside * (force[close] + inside * slope / 2))
            force = force.index_add(0, close, inside * slope)
        return energy, force

    def _slope(self, edge: Tensor, first: Tensor, second: Tensor, step: float = 1e-3) -> Tensor:
        """`[P]`: by how much the force grows for each Angstrom that a pair is closer than `edge`."""
        if self.stiffness is not None:
            return torch.full_like(edge, self.stiffness)
        outer, inner = (self.potential.radial(edge + h, first, second)[1] for h in (step, 0.0))
        slope = (inner - outer) / step
        return torch.where(slope > 0, slope, STIFFNESS)


class RepulsiveGuard(RangeGuard):
    """A guard around any other potential: adds a repulsion between atoms closer than `r_min`.

    `U(r) = stiffness r_min^2 / 2 (r_min / r - 1)^2`: a spring of this stiffness (eV/Angstrom^2) at `r_min`, without
    a jump in energy or force, and without a bound as r goes to 0.
    """

    def __init__(
        self,
        potential: Potential,
        r_min: float | Mapping[str, float],
        stop: bool = False,
        stiffness: float = STIFFNESS,
    ):
        super().__init__(potential, r_min, stop)
        require_positive(stiffness=stiffness)
        self._repulsion = _Repulsion(self, stiffness)

    def compute(self, systems: Systems, pairs: Pairs) -> Evaluation:
        close = self.count(systems, pairs)
        evaluation = self.potential.compute(systems, pairs)
        return evaluation + self._repulsion.compute(systems, pairs.select(close)) if close.any() else evaluation


class _Repulsion(PairPotential):
    def __init__(self, guard: RangeGuard, stiffness: float):
        self.cutoff, self._guard, self._stiffness = guard.cutoff, guard, stiffness

    def radial(self, distance: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        bound = self._guard.bound(first, second)
        excess = (bound / distance - 1).clamp(min=0)
        energy = self._stiffness / 2 * (bound * excess) ** 2
        return energy, self._stiffness * excess * bound**3 / distance**2


def guarded(
    potential: Potential, r_min: float | Mapping[str, float], stop: bool = False, stiffness: float | None = None
) -> RangeGuard:
    """A guard of the kind that fits the potential, with its default stiffness unless one is given."""
    if isinstance(potential, PairPotential):
        return RadialGuard(potential, r_min, stop, stiffness)
    return RepulsiveGuard(potential, r_min, stop, STIFFNESS if stiffness is None else stiffness)


def with_guards(potential: Potential) -> Potential:
    """The potential with a guard around each part that knows the range of its training (`r_min`) and has none yet."""
    if isinstance(potential, Sum):
        return Sum([with_guards(term) for term in potential.terms])
    r_min = getattr(potential, "r_min", None)
    return guarded(potential, r_min) if r_min and not isinstance(potential, RangeGuard) else potential


def _bounds(r_min: Mapping[str, float]) -> Tensor:
    kinds = PairKinds(r_min)
    return torch.tensor([*r_min.values(), 0.0], dtype=torch.float64)[kinds.table]
