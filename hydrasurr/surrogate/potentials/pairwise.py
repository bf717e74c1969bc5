"""Potentials that are a sum over pairs of a function of their distance."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor

from hydrasurr.graphs.neighbours import Pairs
from hydrasurr.graphs.systems import Systems
from hydrasurr.surrogate.potentials.contract import Evaluation, Potential

CHUNK = 16_384
"""Pairs computed at a time: small enough that all intermediate arrays stay in the cache of a core."""


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

    def pair_terms(self, systems: Systems, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Energy and force of each pair, float64 `[P]`, computed chunk by chunk."""
        distance = torch.from_numpy(pairs.distance).to(self.device)
        numbers = torch.from_numpy(systems.numbers)
        first, second = (numbers[torch.from_numpy(index)].to(self.device) for index in (pairs.i, pairs.j))
        energy, force = torch.empty_like(distance), torch.empty_like(distance)
        for start in range(0, len(distance), self.chunk):
            part = slice(start, start + self.chunk)
            energy[part], force[part] = self.radial(distance[part], first[part], second[part])
        return energy, force

    @torch.inference_mode()
    def compute(self, systems: Systems, pairs: Pairs) -> Evaluation:
        pairs = pairs.within(self.cutoff)
        energy, force = self.pair_terms(systems, pairs)
        return assemble(systems, pairs, energy.cpu(), force.cpu())


def assemble(systems: Systems, pairs: Pairs, energy: Tensor, force: Tensor) -> Evaluation:
    """Sums over pairs. `energy` and `force` are float64 `[P]` on the CPU, `force` positive for repulsion."""
    i, j, vector = map(torch.from_numpy, (pairs.i, pairs.j, pairs.vector))
    on_j = vector * (force / torch.from_numpy(pairs.distance))[:, None]
    forces = torch.zeros(systems.num_atoms, 3, dtype=torch.float64)
    forces.index_add_(0, j, on_j).index_add_(0, i, on_j, alpha=-1)
    if len(systems) == 1:
        total, virial = energy.sum()[None], (vector.T @ on_j)[None]
    else:
        owner = torch.from_numpy(systems.system_index)[i]
        total = torch.zeros(len(systems), dtype=torch.float64).index_add_(0, owner, energy)
        outer = vector[:, :, None] * on_j[:, None, :]
        virial = torch.zeros(len(systems), 3, 3, dtype=torch.float64).index_add_(0, owner, outer)
    return Evaluation(total.numpy(), forces.numpy(), np.array((virial + virial.mT) / 2))
