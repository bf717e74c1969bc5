"""Shortest paths and rings of molecules, from their bonds."""

from __future__ import annotations

import numpy as np

FAR = 255
"""Distance between atoms that no path joins, such as the empty places of a molecule."""
WORD = 64


def shortest_paths(bond: np.ndarray, count: np.ndarray) -> np.ndarray:
    """uint8 `[B, A, A]`: bonds on the shortest path from atom to atom; FAR where there is none.

    All atoms at once spread by one bond a step; where each has come to is a row of bits.

    Parameters
    ----------
    bond : `[B, A, A]`, not 0 where there is one
    count : int `[B]`, atoms; the first of the `A` places
    """
    molecules, atoms, _ = bond.shape
    bits = np.eye(atoms, -(-atoms // WORD) * WORD, dtype=bool)
    own = np.packbits(bits, axis=1, bitorder="little").view(np.uint64)
    exists = np.arange(atoms) < count[:, None]
    reached = np.where(exists[:, :, None], own, np.uint64(0)).reshape(molecules * atoms, own.shape[1])
    neighbours = _neighbours(bond)
    steps, since = 0, np.zeros((molecules * atoms, atoms), np.uint8)
    while True:
        since += np.unpackbits(reached.view(np.uint8), axis=1, count=atoms, bitorder="little")
        steps += 1
        further = reached.copy()
        for neighbour in neighbours:
            further |= reached[neighbour]
        if np.array_equal(further, reached):
            return np.where(since, steps - since, FAR).astype(np.uint8).reshape(bond.shape)
        reached = further


def bonds_in_rings(bond: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """bool `[B, A, A]`: the bonds that are in a ring.

    Each atom is nearer to the one end of a bond, or to the other, or as near to both. If that differs between the ends
    of another bond, too, there is another way from the one end to the other.

    Parameters
    ----------
    bond : `[B, A, A]`, not 0 where there is one
    distance : uint8 `[B, A, A]`, from `shortest_paths`
    """
    molecules, atoms, _ = bond.shape
    atom, j = _ends(bond)
    m, i = np.divmod(atom, atoms)
    once = i < j
    m, i, j = m[once], i[once], j[once]
    rows = distance.reshape(-1, atoms)
    side = (rows[m * atoms + i] - rows[m * atoms + j]).ravel()  # -1, 0 or 1 modulo 256
    place = _place_in_group(m)
    first, second = np.zeros((2, molecules, place.max(initial=0) + 1), np.int64)
    first[m, place], second[m, place] = i, j
    row = np.arange(len(m))[:, None] * atoms
    inside = (side[row + first[m]] != side[row + second[m]]).sum(1) > 1
    ring = np.zeros(bond.shape, bool)
    ring[m, i, j] = ring[m, j, i] = inside
    return ring


def _neighbours(bond: np.ndarray) -> np.ndarray:
    """int64 `[D, B A]`: the atoms that each atom is bonded to, all numbered through; what is left over is itself."""
    molecules, atoms, _ = bond.shape
    atom, j = _ends(bond)
    place = _place_in_group(atom)
    neighbours = np.tile(np.arange(molecules * atoms), (place.max(initial=-1) + 1, 1))
    neighbours[place, atom] = atom - atom % atoms + j
    return neighbours


def _ends(bond: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int64 `[K]` each: one end of each bond, numbered through all molecules, and the other, within its own; ascending.

    Each bond is there from both ends.
    """
    return np.divmod(np.flatnonzero(bond != 0), bond.shape[-1])


def _place_in_group(group: np.ndarray) -> np.ndarray:
    """int64 `[K]`: how many of the same group came before each; groups are ascending numbers."""
    return np.arange(len(group)) - np.searchsorted(group, group)
