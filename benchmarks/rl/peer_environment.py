"""The usual environment of molecular design: RDKit edits the molecule in every possible way, at each step.

As Z. Zhou et al. describe it (MolDQN, Scientific Reports 9, 10752 (2019)): a state is a SMILES, and an action is the
SMILES of the next state, one of all that one edit leads to.
"""

from __future__ import annotations

import random

from rdkit import Chem, rdBase

from hydrasurr.rl.environment.rules import Rules, usual_valence

ORDERS = (Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE)


class PeerEnvironment:
    """One molecule; its next states are enumerated when it is reset and after each step.

    Parameters
    ----------
    rules : as for the project's own environment, and with the same meaning
    starts : SMILES, of which an episode begins with one by chance

    Attributes
    ----------
    state : SMILES
    successors : the SMILES that one edit leads to, sorted
    """

    def __init__(self, rules: Rules, starts: list[str], seed: int = 0):
        self.rules, self.starts = rules, starts
        self._random = random.Random(seed)
        self.reset()

    def reset(self) -> None:
        self._go_to(self._random.choice(self.starts))

    def step(self, successor: str) -> None:
        self._go_to(successor)

    def random_step(self) -> None:
        self.step(self._random.choice(self.successors))

    def _go_to(self, state: str) -> None:
        self.state, self.successors = state, sorted(successors(state, self.rules))


def successors(smiles: str, rules: Rules) -> set[str]:
    """The canonical SMILES of all valid molecules that differ by one edit."""
    mol = Chem.MolFromSmiles(smiles)
    Chem.Kekulize(mol, clearAromaticFlags=True)
    free = [atom.GetTotalNumHs() for atom in mol.GetAtoms()]
    for atom in mol.GetAtoms():  # RDKit fills up with hydrogens after each edit
        atom.SetNumExplicitHs(0)
        atom.SetNoImplicit(False)
    with rdBase.BlockLogs():
        found = _with_one_more_atom(mol, free, rules) | _with_more_bonds(mol, free, rules)
        if rules.removal:
            found |= _with_fewer_bonds(mol)
    return found


def _with_one_more_atom(mol: Chem.Mol, free: list[int], rules: Rules) -> set[str]:
    found: set[str] = set()
    if mol.GetNumAtoms() >= rules.max_atoms:
        return found
    for anchor, room in enumerate(free):
        for symbol in rules.elements:
            for order in range(1, min(room, usual_valence(symbol), 3) + 1):
                new = Chem.RWMol(mol)
                new.AddBond(anchor, new.AddAtom(Chem.Atom(symbol)), ORDERS[order - 1])
                _collect(new, found)
    return found


def _with_more_bonds(mol: Chem.Mol, free: list[int], rules: Rules) -> set[str]:
    """A bond raised, or a ring closed."""
    found: set[str] = set()
    distance = Chem.GetDistanceMatrix(mol)
    for i in range(mol.GetNumAtoms()):
        for j in range(i + 1, mol.GetNumAtoms()):
            room = min(free[i], free[j])
            if not room:
                continue
            bond = mol.GetBondBetweenAtoms(i, j)
            if bond is None and distance[i, j] + 1 not in rules.ring_sizes:
                continue
            before = 0 if bond is None else ORDERS.index(bond.GetBondType()) + 1
            for order in range(before + 1, min(before + room, 3) + 1):
                new = Chem.RWMol(mol)
                if bond is None:
                    new.AddBond(i, j, ORDERS[order - 1])
                else:
                    new.GetBondBetweenAtoms(i, j).SetBondType(ORDERS[order - 1])
                _collect(new, found)
    return found


def _with_fewer_bonds(mol: Chem.Mol) -> set[str]:
    """A bond lowered, a ring opened, or an atom at an end taken off."""
    found: set[str] = set()
    for bond in mol.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        for order in range(1, ORDERS.index(bond.GetBondType()) + 1):
            new = Chem.RWMol(mol)
            new.GetBondBetweenAtoms(i, j).SetBondType(ORDERS[order - 1])
            _collect(new, found)
        ends = [atom for atom in (bond.GetBeginAtom(), bond.GetEndAtom()) if atom.GetDegree() == 1]
        if bond.IsInRing() or ends:
            new = Chem.RWMol(mol)
            new.RemoveBond(i, j)
            if ends:
                new.RemoveAtom(max(atom.GetIdx() for atom in ends))
            _collect(new, found)
    return found


def _collect(mol: Chem.RWMol, found: set[str]) -> None:
    """Add the SMILES of a molecule if RDKit finds it valid."""
    try:
        Chem.SanitizeMol(mol)
    except Chem.MolSanitizeException:
        return
    found.add(Chem.MolToSmiles(mol))
