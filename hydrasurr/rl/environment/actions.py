"""Which edits of a molecule are allowed, and how they are numbered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hydrasurr.rl.environment.molecules import FAR, Molecules
from hydrasurr.rl.environment.rules import Rules

STOP, ADD, BOND = 0, 1, 2
NOTHING = -1
"""Not the number of an action: leave this molecule alone."""
ORDERS = np.arange(1, 4, dtype=np.int8)
ROOM, CLOSES, LOOSE = np.array([4, 16, 32], np.uint8)
"""Places in a byte of what decides about the bond of two atoms; see `_allowed_orders`."""


class Edit(NamedTuple):
    """What actions mean; all arrays of one length.

    Attributes
    ----------
    kind : uint8, STOP, ADD or BOND
    first : int64, ADD: the atom that the new one is bonded to; BOND: the first atom of the pair, the lower one
    second : int64, ADD: which of the rules' elements; BOND: the second atom
    order : int8, of the new bond, or of the bond from now on (0: none)
    """

    kind: np.ndarray
    first: np.ndarray
    second: np.ndarray
    order: np.ndarray


@dataclass(frozen=True)
class LegalActions:
    """All actions that each of `B` molecules allows, end to end.

    Attributes
    ----------
    number : int64 `[K]`, the number of an action in its space, ascending within each molecule
    molecule : int64 `[K]`
    offset : int64 `[B + 1]`; molecule b has those at `offset[b]:offset[b + 1]`, at least one
    """

    number: np.ndarray
    molecule: np.ndarray
    offset: np.ndarray

    def __len__(self) -> int:
        return len(self.number)

    @property
    def counts(self) -> np.ndarray:
        return np.diff(self.offset)

    def place(self, number: np.ndarray) -> np.ndarray:
        """int64 `[B]`: where in the list one allowed action of each molecule is, by their numbers `[B]`."""
        width = int(max(self.number.max(initial=0), np.max(number, initial=0))) + 1
        return np.searchsorted(self.molecule * width + self.number, np.arange(len(number)) * width + number)


class ActionSpace:
    """Numbers for all edits of molecules of one size: stop, then atoms to add, then orders of pairs of atoms.

    Attributes
    ----------
    size : how many there are
    """

    def __init__(self, rules: Rules):
        self.rules = rules
        atoms, elements = rules.max_atoms, len(rules.elements)
        self._numbers = np.array(rules.numbers, np.uint8)
        self._valences = np.array(rules.valences, np.int8)
        self._adds = atoms * elements * len(ORDERS)
        lower, upper = np.triu_indices(atoms, 1)
        self._pairs = lower * atoms + upper
        self.size = 1 + self._adds + 4 * len(lower)
        self._edits = _all_edits(atoms, elements, lower, upper)
        self._allowed_adds = _allowed_adds(self._valences)
        self._allowed_orders = _allowed_orders(rules.removal)
        self._closing = np.zeros(FAR + 1, np.uint8)
        self._closing[[size - 1 for size in rules.ring_sizes]] = CLOSES

    def mask(self, molecules: Molecules) -> np.ndarray:
        """bool `[B, size]`: the actions that each molecule allows. Stopping always is."""
        mask = np.empty((len(molecules), self.size), bool)
        mask[:, 0] = True
        free = np.minimum(molecules.capacity - molecules.bonds, len(ORDERS)).view(np.uint8)
        mask[:, 1 : 1 + self._adds] = self._mask_adds(molecules, free)
        mask[:, 1 + self._adds :] = self._mask_bonds(molecules, free)
        return mask

    def _mask_adds(self, molecules: Molecules, free: np.ndarray) -> np.ndarray:
        room = molecules.count < self.rules.max_atoms
        return self._allowed_adds[free * room[:, None]].reshape(len(molecules), self._adds)

    def _mask_bonds(self, molecules: Molecules, free: np.ndarray) -> np.ndarray:
        """By what is known of each pair of atoms, in one byte; see `_allowed_orders`."""
        known = np.minimum(free[:, :, None], free[:, None, :]) * ROOM
        known |= molecules.bond.view(np.uint8)
        known |= self._closing.take(molecules.distance)
        ends = (molecules.bond > 0).sum(1, dtype=np.uint8) == 1
        loose = molecules.ring | ends[:, :, None] | ends[:, None, :]
        known |= loose * LOOSE
        of_pairs = known.reshape(len(molecules), -1).take(self._pairs, axis=1)
        return self._allowed_orders.take(of_pairs).view(bool)

    def legal(self, molecules: Molecules) -> LegalActions:
        """The actions that each molecule allows, as lists."""
        mask = self.mask(molecules)
        molecule, number = np.divmod(np.flatnonzero(mask), self.size)
        return LegalActions(number, molecule, np.searchsorted(molecule, np.arange(len(molecules) + 1)))

    def decode(self, number: np.ndarray) -> Edit:
        """What actions mean, by their numbers `[K]`."""
        return Edit(*(values[number] for values in self._edits))

    def apply(self, molecules: Molecules, number: np.ndarray) -> None:
        """Change each molecule by one allowed action, `[B]`, in place; 0 (stop) and NOTHING change nothing."""
        changed = np.flatnonzero(np.asarray(number) > 0)
        edit = self.decode(number[changed])
        adds, bonds = edit.kind == ADD, edit.kind == BOND
        if adds.any():
            element = edit.second[adds]
            molecules.add_atom(
                changed[adds], edit.first[adds], self._numbers[element], self._valences[element], edit.order[adds]
            )
        if bonds.any():
            molecules.set_bond(changed[bonds], edit.first[bonds], edit.second[bonds], edit.order[bonds])


def _all_edits(atoms: int, elements: int, lower: np.ndarray, upper: np.ndarray) -> Edit:
    """What all actions mean, in their order; `lower` and `upper` are the pairs of atoms."""
    anchor, element, order = (index.ravel() for index in np.indices((atoms, elements, len(ORDERS))))
    pairs = len(lower)
    return Edit(
        np.repeat(np.array([STOP, ADD, BOND], np.uint8), [1, len(anchor), 4 * pairs]),
        np.concatenate([[0], anchor, lower.repeat(4)]),
        np.concatenate([[0], element, upper.repeat(4)]),
        np.concatenate([[0], ORDERS[order], np.tile(np.arange(4), pairs)]).astype(np.int8),
    )


def _allowed_adds(valences: np.ndarray) -> np.ndarray:
    """bool `[4, elements 3]`: by the bonds that an atom has room for, which elements may be added with which orders."""
    room = np.arange(len(ORDERS) + 1)
    taken = np.minimum(room[:, None, None], valences[:, None])
    return (taken >= ORDERS).reshape(len(room), -1)


def _allowed_orders(removal: bool) -> np.ndarray:
    """uint32 `[64]`, four bools each: whether a pair of atoms may get the order 0, 1, 2 or 3, by what is known of it.

    That is the present order, plus ROOM times the orders both atoms have room for, plus CLOSES if a new bond closes a
    ring of an allowed size, plus LOOSE if without its bond no two larger parts would fall apart.
    """
    known = np.arange(2 * LOOSE)[:, None]
    order, room, new = known % ROOM, known // ROOM % ROOM, np.arange(4)
    raised = (new > order) & (new <= order + room) & ((order > 0) | (known & CLOSES > 0))
    lowered = (new < order) & ((new > 0) | (known & LOOSE > 0))
    return (raised | lowered if removal else raised).view(np.uint32)[:, 0]
