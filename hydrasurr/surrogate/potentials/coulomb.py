"""Electrostatics of point charges: Ewald's sum, directly or on a mesh (P3M).

The interaction 1/r is split by Gaussians of width `smearing` s:

    1/r = erfc(r / (sqrt(2) s)) / r   near: a pair potential with a cutoff, CoulombNear
        + erf(r / (sqrt(2) s)) / r    far: smooth, a sum over waves in reciprocal space, CoulombFar

Gaussian units; energies times COULOMB are in eV for charges in e and distances in Angstrom.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from hydrasurr.errors import HydrasurrError
from hydrasurr.graphs.neighbours import Pairs
from hydrasurr.graphs.schema import ELEMENTS
from hydrasurr.graphs.systems import Systems
from hydrasurr.surrogate.potentials.contract import Evaluation, Potential, require_positive
from hydrasurr.surrogate.potentials.pairwise import PairPotential
from hydrasurr.surrogate.potentials.splitting import COULOMB, Method, Splitting, require_method, tune
from hydrasurr.surrogate.potentials.torch_pme import ewald, p3m, wave_vectors

NEUTRAL = 1e-6
"""Net charge of a periodic system that is taken for rounding, e."""


class Charges:
    """Charges by element.

    Raises HydrasurrError for elements that do not exist, and charges that are no finite numbers.
    """

    def __init__(self, charges: Mapping[int, float]):
        if not charges or not all(number in range(1, len(ELEMENTS)) for number in charges):
            raise HydrasurrError(f"charges are given by atomic number, such as {{11: 1, 17: -1}}; got {dict(charges)}")
        if not all(map(math.isfinite, charges.values())):
            raise HydrasurrError(f"charges must be finite numbers, in e; got {dict(charges)}")
        self._table = torch.full((len(ELEMENTS),), torch.nan, dtype=torch.float64)
        self._table[list(charges)] = torch.tensor(list(charges.values()), dtype=torch.float64)

    def of(self, numbers: Tensor) -> Tensor:
        """float64 `[N]`: the charges of atoms, e. Raises HydrasurrError for an element without a charge."""
        charges = self._table.to(numbers.device)[numbers]
        if charges.isnan().any():
            missing = ELEMENTS[int(numbers[charges.isnan()][0])]
            raise HydrasurrError(f"no charge is given for {missing}; give one, 0 if it has none")
        return charges


class CoulombNear(PairPotential):
    """The part of 1/r that is short-ranged: `U(r) = q_i q_j erfc(r / (sqrt(2) s)) / r` up to the cutoff."""

    def __init__(self, charges: Mapping[int, float], smearing: float, cutoff: float):
        require_positive(smearing=smearing, cutoff=cutoff)
        self.charges, self.smearing, self.cutoff = Charges(charges), smearing, cutoff

    def radial(self, distance: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        strength = COULOMB * self.charges.of(first) * self.charges.of(second)
        ratio = distance / (math.sqrt(2) * self.smearing)
        energy = strength * torch.erfc(ratio) / distance
        gaussian = math.sqrt(2 / math.pi) / self.smearing * torch.exp(-ratio * ratio)
        return energy, (energy + strength * gaussian) / distance


class CoulombFar(Potential):
    """The smooth part of 1/r of all pairs and images, computed in reciprocal space by torch-pme.

    It needs no neighbour list; forces and virial are derivatives of the energy by automatic differentiation. Systems
    without periodic directions are summed over all their pairs instead.

    Raises HydrasurrError for periodic systems with a net charge, and for those periodic in one or two directions.
    """

    cutoff = 0.0

    def __init__(self, charges: Mapping[int, float], splitting: Splitting):
        self.charges, self.splitting = Charges(charges), splitting
        self._waves = splitting.resolution if splitting.method == "ewald" else None
        self._sum = p3m(splitting.smearing, splitting.resolution) if self._waves is None else ewald(splitting.smearing)

    def evaluate(self, systems: Systems) -> Evaluation:
        results = [self._one(systems[index], index) for index in range(len(systems))]
        return Evaluation(
            np.array([energy for energy, _, _ in results]),
            np.concatenate([forces for _, forces, _ in results]) if results else np.empty((0, 3)),
            np.array([virial for _, _, virial in results]).reshape(-1, 3, 3),
        )

    def compute(self, systems: Systems, pairs: Pairs) -> Evaluation:
        return self.evaluate(systems)

    @torch.inference_mode(False)
    @torch.enable_grad()
    def _one(self, system: Systems, index: int) -> tuple[float, np.ndarray, np.ndarray]:
        charges = self.charges.of(torch.from_numpy(system.numbers))
        positions = torch.tensor(system.positions, requires_grad=True)
        strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
        deform = torch.eye(3, dtype=torch.float64) + (strain + strain.T) / 2
        if system.pbc.any():
            _check(system, charges, index)
            energy = self._periodic(charges[:, None], torch.from_numpy(system.cell[0]) @ deform, positions @ deform)
        else:
            energy = _far_pairs(charges, positions @ deform, self.splitting.smearing)
        energy = COULOMB * energy
        by_position, by_strain = torch.autograd.grad(energy, (positions, strain))
        return energy.item(), -by_position.numpy(), -by_strain.numpy()

    def _periodic(self, charges: Tensor, cell: Tensor, positions: Tensor) -> Tensor:
        no_pairs = torch.empty(0, 2, dtype=torch.int64), torch.empty(0, dtype=torch.float64)
        waves = None if self._waves is None else wave_vectors(cell, self._waves)
        return (charges * self._sum(charges, cell, positions, *no_pairs, kvectors=waves)).sum()


class Coulomb(Potential):
    """Charges by element in periodic, neutral systems (and all pairs of systems that are not periodic).

    Parameters
    ----------
    charges : by atomic number, e: `{11: 1, 17: -1}`
    cutoff : of the near part, Angstrom
    method : of the far part, see Splitting
    accuracy : of forces, eV/Angstrom root mean square; the first periodic system that is evaluated decides the
        splitting, which then stays
    splitting : instead of `method` and `accuracy`

    Attributes
    ----------
    splitting, near, far : None before the first periodic system unless the splitting is given; the two parts are
        potentials of their own
    """

    def __init__(
        self,
        charges: Mapping[int, float],
        cutoff: float = 10.0,
        method: Method = "p3m",
        accuracy: float = 1e-4,
        splitting: Splitting | None = None,
    ):
        self.charges, self.cutoff, self.method, self.accuracy = dict(charges), cutoff, method, accuracy
        self.splitting: Splitting | None = None
        self.near: CoulombNear | None = None
        self.far: CoulombFar | None = None
        Charges(charges)
        require_method(method)
        require_positive(cutoff=cutoff, accuracy=accuracy)
        if splitting is not None:
            self.split(splitting)

    def split(self, splitting: Splitting) -> None:
        """Use this splitting from now on."""
        self.splitting = splitting
        self.near = CoulombNear(self.charges, splitting.smearing, self.cutoff)
        self.far = CoulombFar(self.charges, splitting)

    def compute(self, systems: Systems, pairs: Pairs) -> Evaluation:
        near, far = self._parts(systems)
        return near.compute(systems, pairs) + far.compute(systems, pairs)

    def _parts(self, systems: Systems) -> tuple[CoulombNear, CoulombFar]:
        if self.near is None or self.far is None:
            tuned = self._tuned(systems)
            if tuned is None:
                return self._for_clusters
            self.split(tuned)
        return self.near, self.far

    @cached_property
    def _for_clusters(self) -> tuple[CoulombNear, CoulombFar]:
        width = self.cutoff / 6  # clusters feel no more of it than 1e-9
        return CoulombNear(self.charges, width, self.cutoff), CoulombFar(
            self.charges, Splitting(self.method, width, width)
        )

    def _tuned(self, systems: Systems) -> Splitting | None:
        """The splitting for the first periodic system that has atoms; None without one."""
        for index in range(len(systems)):
            system = systems[index]
            if system.pbc.any() and system.num_atoms:
                charges = Charges(self.charges).of(torch.from_numpy(system.numbers))
                _check(system, charges, index)
                return tune(system, charges, self.cutoff, self.method, self.accuracy)
        return None


def _far_pairs(charges: Tensor, positions: Tensor, smearing: float) -> Tensor:
    """Energy of the far part of all pairs of a system without periodic images, in units of COULOMB."""
    i, j = torch.triu_indices(len(charges), len(charges), 1)
    distance = torch.linalg.norm(positions[j] - positions[i], dim=1)
    return (charges[i] * charges[j] * torch.erf(distance / (math.sqrt(2) * smearing)) / distance).sum()


def _check(system: Systems, charges: Tensor, index: int) -> None:
    if not system.pbc.all():
        raise HydrasurrError(
            f"system {index} is periodic in {int(system.pbc.sum())} of 3 directions; charges can be summed if it is "
            "periodic in all (add vacuum along the others) or in none"
        )
    total = float(charges.sum())
    if abs(total) > NEUTRAL:
        raise HydrasurrError(
            f"system {index} has a net charge of {total:+.6g} e, so its images repel each other without end; "
            "check the charges of its elements, or the numbers of its ions"
        )
