"""Which edits of a molecule are allowed, and how they are numbered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hydrasurr.graphs.table import offsets_from_counts
from hydrasurr.rl.environment.molecules import FAR, Molecules
from hydrasurr.rl.environment.rules import Rules

STOP, ADD, BOND = 0, 1, 2
NOTHING = -1
"""Not the number of an action: leave this molecule alone."""
ORDERS = np.arange(1, 4, dtype=np.int8)


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
        self._add_shape = (atoms, elements, len(ORDERS))
        self._adds = atoms * elements * len(ORDERS)
        self._lower, self._upper = np.triu_indices(atoms, 1)
        self._numbers = np.array(rules.numbers, np.uint8)
        self._valences = np.array(rules.valences, np.int8)
        self._closes = np.zeros(FAR + 1, bool)
        self._closes[[size - 1 for size in rules.ring_sizes]] = True
        self.size = 1 + self._adds + 4 * len(self._lower)

    def mask(self, molecules: Molecules) -> np.ndarray:
        """bool `[B, size]`: the actions that each molecule allows. Stopping always is."""
        mask = np.empty((len(molecules), self.size), bool)
        mask[:, 0] = True
        free = molecules.capacity - molecules.bonds
        self._mask_adds(molecules, free, mask[:, 1 : 1 + self._adds])
        self._mask_bonds(molecules, free, mask[:, 1 + self._adds :])
        return mask

    def _mask_adds(self, molecules: Molecules, free: np.ndarray, out: np.ndarray) -> None:
        room = molecules.count < self.rules.max_atoms
        fits = (free[:, :, None] >= ORDERS) & room[:, None, None]
        taken = self._valences[:, None] >= ORDERS
        np.logical_and(fits[:, :, None], taken, out=out.reshape(len(out), *self._add_shape))

    def _mask_bonds(self, molecules: Molecules, free: np.ndarray, out: np.ndarray) -> None:
        out = out.reshape(len(out), -1, 4)
        i, j = self._lower, self._upper
        order = molecules.bond[:, i, j]
        most = order + np.minimum(free[:, i], free[:, j])
        bonded = order > 0
        raisable = bonded | self._closes[molecules.distance[:, i, j]]
        lowest = order if self.rules.removal else np.zeros_like(order)
        for new in (1, 2, 3):
            out[:, :, new] = raisable & (((order < new) & (new <= most)) | (new < lowest))
        out[:, :, 0] = False
        if self.rules.removal:
            ends = (molecules.bond > 0).sum(-1) == 1
            out[:, :, 0] = bonded & (molecules.ring[:, i, j] | ends[:, i] | ends[:, j])

    def legal(self, molecules: Molecules) -> LegalActions:
        """The actions that each molecule allows, as lists."""
        mask = self.mask(molecules)
        molecule, number = np.nonzero(mask)
        return LegalActions(number, molecule, offsets_from_counts(mask.sum(1)))

    def decode(self, number: np.ndarray) -> Edit:
        """What actions mean, by their numbers `[K]`."""
        number = np.asarray(number)
        kind = np.where(number == 0, STOP, np.where(number <= self._adds, ADD, BOND)).astype(np.uint8)
        anchor, element, order = np.unravel_index(np.where(kind == ADD, number - 1, 0), self._add_shape)
        pair, new = np.divmod(np.where(kind == BOND, number - 1 - self._adds, 0), 4)
        adds = kind == ADD
        return Edit(
            kind,
            np.where(adds, anchor, self._lower[pair]),
            np.where(adds, element, self._upper[pair]),
            np.where(adds, ORDERS[order], new).astype(np.int8),
        )

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
