"""What a representation sees of a batch of structures: its edges, and how messages travel along them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Geometry:
    """`E` directed edges between `N` atoms.

    Sums over neighbours are `index_add`, gathers `index_select`: each is the other's derivative, so all is
    differentiable as often as one likes, with nothing kept but the indices.

    Attributes
    ----------
    source, destination : int64 `[E]`, the neighbour and the centre of each edge
    num_atoms : N
    vector : `[E, 3]`, from the centre to the neighbour, Angstrom
    distance : `[E]`, its length
    basis : `[E, K]`, radial functions of the distance
    envelope : `[E]`, from 1 at distance 0 smoothly to 0 at the cutoff
    cutoff : Angstrom
    """

    source: Tensor
    destination: Tensor
    num_atoms: int
    vector: Tensor
    distance: Tensor
    basis: Tensor
    envelope: Tensor
    cutoff: float

    def of_source(self, x: Tensor) -> Tensor:
        """`[N, ...]` to `[E, ...]`: what each edge's neighbour has."""
        return x.index_select(0, self.source)

    def of_destination(self, x: Tensor) -> Tensor:
        """`[N, ...]` to `[E, ...]`: what each edge's centre has."""
        return x.index_select(0, self.destination)

    def sum(self, messages: Tensor) -> Tensor:
        """`[E, ...]` to `[N, ...]`: the sum of the messages that each centre receives."""
        zeros = messages.new_zeros(self.num_atoms, *messages.shape[1:])
        return zeros.index_add(0, self.destination, messages)
