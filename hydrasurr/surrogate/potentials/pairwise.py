"""Potentials that are a sum over pairs of a function of their distance."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from hydrasurr.graphs.neighbours import Pairs
from hydrasurr.graphs.systems import Systems
from hydrasurr.surrogate.potentials.contract import Evaluation, Potential

CHUNK = 32_768
"""Pairs computed at a time: few enough that all intermediate arrays stay in the cache of a core."""


class PairPotential(Potential):
    """`E = sum_pairs U(r)`, `f = -dU/dr`. A new one gives a `cutoff` and `radial`.

    Attributes
    ----------
    chunk : pairs computed at a time
    device : where to compute
    """

    chunk: int = CHUNK
    device: torch.device = torch.device("cpu")

    @abstractmethod
    def radial(self, distance: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Energy U (eV) and force f = -dU/dr (eV/Angstrom, positive: repulsion) of pairs, float64 `[P]` each.

        `distance` is float64 `[P]` up to the cutoff, Angstrom; `first` and `second` int64 `[P]` atomic numbers.
        """

    @torch.inference_mode()
    def compute(self, systems: Systems, pairs: Pairs) -> Evaluation:
        pairs = pairs.within(self.cutoff)
        i, j, vector, distance, numbers = (
            torch.from_numpy(array).to(self.device)
            for array in (pairs.i, pairs.j, pairs.vector, pairs.distance, systems.numbers)
        )
        one_element = len(numbers) > 0 and bool((numbers == numbers[0]).all())
        sums = PairSums(systems, self.device)
        for start in range(0, len(distance), self.chunk):
            part = slice(start, start + self.chunk)
            ends = i[part], j[part]
            elements = [numbers[:1].expand(len(atom)) if one_element else numbers[atom] for atom in ends]
            energy, force = self.radial(distance[part], *elements)
            sums.add(*ends, vector[part], energy, vector[part] * (force / distance[part])[:, None])
        return sums.evaluation()


class PairSums:
    """Energy, forces and virial of `S` systems, added up from terms of pairs."""

    def __init__(self, systems: Systems, device: torch.device):
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.float64, device=device)

        self._owner = torch.from_numpy(systems.system_index).to(device) if len(systems) > 1 else None
        self._energy, self._virial = zeros(len(systems)), zeros(len(systems), 3, 3)
        # One sum for each end of a pair: index_add_ that subtracts (alpha=-1) is ten times slower.
        self._on_i, self._on_j = zeros(systems.num_atoms, 3), zeros(systems.num_atoms, 3)

    def add(self, i: Tensor, j: Tensor, vector: Tensor, energy: Tensor, on_j: Tensor) -> None:
        """Add `P` pairs: energy `[P]` and the force on atom j `[P, 3]`, all float64; `vector` as in Pairs."""
        self._on_i.index_add_(0, i, on_j)
        self._on_j.index_add_(0, j, on_j)
        if self._owner is None:
            self._energy[0] += energy.sum()
            self._virial[0].addmm_(vector.T, on_j)
        else:
            owner = self._owner[i]
            self._energy.index_add_(0, owner, energy)
            self._virial.index_add_(0, owner, vector[:, :, None] * on_j[:, None, :])

    def evaluation(self) -> Evaluation:
        virial = (self._virial + self._virial.mT) / 2
        return Evaluation(*(total.cpu().numpy() for total in (self._energy, self._on_j - self._on_i, virial)))
