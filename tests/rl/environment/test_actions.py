"""The masks of actions against RDKit, edit by edit."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem, rdBase

from hydrasurr.rl.environment.actions import ADD, BOND, NOTHING, STOP, ActionSpace
from hydrasurr.rl.environment.molecules import Molecules
from hydrasurr.rl.environment.rules import Rules, usual_valence
from hydrasurr.rl.environment.smiles import BONDS, from_smiles, to_rdkit, to_smiles
from tests.rl.environment.walks import HYDRIDES, RULES, STARTS, walked

NO_REMOVAL = Rules(elements=("C", "O"), max_atoms=12, ring_sizes=(), removal=False)


CAPACITY = "capacity"
"""A property of atoms: the largest valence."""
HYDRIDE = "hydride"
"""A property of atoms that hydrogens always fill up to that, which RDKit would not."""


def kekule(molecule: Molecules) -> Chem.Mol:
    """One molecule with its own bonds and charges, where RDKit might choose others; its atoms know their CAPACITY."""
    mol = Chem.RWMol(to_rdkit(molecule, 0))
    Chem.Kekulize(mol, clearAromaticFlags=True)
    for bond in mol.GetBonds():
        bond.SetBondType(BONDS[molecule.bond[0, bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()]])
    for atom in mol.GetAtoms():
        valence, charge = int(molecule.valence[0, atom.GetIdx()]), int(molecule.charge[0, atom.GetIdx()])
        atom.SetIntProp(CAPACITY, int(molecule.capacity[0, atom.GetIdx()]))
        atom.SetBoolProp(HYDRIDE, not charge and valence > usual_valence(atom.GetSymbol()))
        atom.SetFormalCharge(charge)
    return mol


def edited(mol: Chem.Mol, kind: int, first: int, second: int, order: int, rules: Rules) -> Chem.Mol | None:
    """The slow twin of an action: the molecule afterwards, or None if it is not allowed, all by RDKit."""
    if kind == STOP:
        return mol
    new = Chem.RWMol(mol)
    for atom in new.GetAtoms():  # let RDKit fill up with hydrogens again
        atom.SetNumExplicitHs(0)
        atom.SetNoImplicit(False)
    allowed = _added(new, first, second, order, rules) if kind == ADD else _rebonded(new, first, second, order, rules)
    for atom in new.GetAtoms():
        if atom.HasProp(HYDRIDE) and atom.GetBoolProp(HYDRIDE):
            bonds = sum(BONDS.index(bond.GetBondType()) for bond in atom.GetBonds())
            atom.SetNumExplicitHs(max(0, atom.GetIntProp(CAPACITY) - bonds))
            atom.SetNoImplicit(True)
    try:
        Chem.SanitizeMol(new, Chem.SANITIZE_ALL ^ Chem.SANITIZE_CLEANUP)
    except Chem.MolSanitizeException:
        return None
    within = all(atom.GetTotalValence() <= atom.GetIntProp(CAPACITY) for atom in new.GetAtoms())
    return new if allowed and within else None


def _added(mol: Chem.RWMol, anchor: int, element: int, order: int, rules: Rules) -> bool:
    if not anchor < mol.GetNumAtoms() < rules.max_atoms:
        return False
    atom = Chem.Atom(rules.elements[element])
    atom.SetIntProp(CAPACITY, usual_valence(rules.elements[element]))
    mol.AddBond(anchor, mol.AddAtom(atom), BONDS[order])
    return True


def _rebonded(mol: Chem.RWMol, i: int, j: int, order: int, rules: Rules) -> bool:
    if j >= mol.GetNumAtoms():
        return False
    bond = mol.GetBondBetweenAtoms(i, j)
    before = BONDS.index(bond.GetBondType()) if bond else 0
    if order == before or (order < before and not rules.removal):
        return False
    if bond:
        mol.RemoveBond(i, j)
    if order:
        mol.AddBond(i, j, BONDS[order])
        Chem.GetSSSR(mol)
        made = mol.GetBondBetweenAtoms(i, j)
        return bool(before) or mol.GetRingInfo().MinBondRingSize(made.GetIdx()) in rules.ring_sizes
    parts = Chem.GetMolFrags(mol)
    alone = [part[0] for part in parts if len(part) == 1]
    if len(parts) > 1 and alone:
        mol.RemoveAtom(max(alone))
    return len(parts) == 1 or bool(alone)


@pytest.mark.parametrize("rules", [RULES, NO_REMOVAL], ids=["all", "no removal"])
@given(seed=st.integers(0, 10_000), steps=st.integers(0, 25))
def test_allowed_is_what_rdkit_allows(rules: Rules, seed: int, steps: int) -> None:
    """Every action of one molecule: allowed if and only if RDKit agrees, with the same result."""
    space = ActionSpace(rules)
    molecules = walked(seed, steps, rules, STARTS + HYDRIDES)
    chosen = molecules[[seed % len(molecules)]]
    mask, mol = space.mask(chosen)[0], kekule(chosen)
    edits = space.decode(np.arange(space.size))
    with rdBase.BlockLogs():
        allowed = [edited(mol, *(int(values[number]) for values in edits), rules) for number in range(space.size)]
    for number in range(space.size):
        kind, first, second, order = (int(values[number]) for values in edits)
        expected = allowed[number]
        assert mask[number] == (expected is not None), (to_smiles(chosen), kind, first, second, order)
        if expected is not None:
            after = copy.deepcopy(chosen)
            space.apply(after, np.array([number]))
            assert to_smiles(after) == [Chem.CanonSmiles(Chem.MolToSmiles(expected))]


@given(seed=st.integers(0, 10_000), steps=st.integers(0, 60))
def test_paths_and_rings_are_rdkits(seed: int, steps: int) -> None:
    molecules = walked(seed, steps)
    for m in range(len(molecules)):
        mol, count = to_rdkit(molecules, m), molecules.count[m]
        np.testing.assert_array_equal(molecules.distance[m, :count, :count], Chem.GetDistanceMatrix(mol))
        ring = np.zeros((count, count), bool)
        for bond in mol.GetBonds():
            i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
            ring[i, j] = ring[j, i] = bond.IsInRing()
        np.testing.assert_array_equal(molecules.ring[m, :count, :count], ring)
        np.testing.assert_array_equal(molecules.hydrogens[m, :count], [atom.GetTotalNumHs() for atom in mol.GetAtoms()])
        assert molecules.num_rings[m] == mol.GetNumBonds() - count + 1


@given(seed=st.integers(0, 10_000), steps=st.integers(0, 60))
def test_edits_of_many_are_edits_of_each(seed: int, steps: int) -> None:
    space, molecules = ActionSpace(RULES), walked(seed, steps)
    legal = space.legal(molecules)
    pick = (np.random.default_rng(seed).random(len(molecules)) * legal.counts).astype(int)
    numbers = legal.number[legal.offset[:-1] + pick]
    single = [copy.deepcopy(molecules[[m]]) for m in range(len(molecules))]
    for one, number in zip(single, numbers, strict=True):
        space.apply(one, np.array([number]))
    space.apply(molecules, numbers)
    for m, one in enumerate(single):
        for name, values in vars(molecules[[m]]).items():
            np.testing.assert_array_equal(values, getattr(one, name), name)


def test_lists_are_masks() -> None:
    space, molecules = ActionSpace(RULES), walked(1, 20)
    legal, mask = space.legal(molecules), space.mask(molecules)
    assert len(legal) == mask.sum() and legal.offset[-1] == len(legal)
    for m in range(len(molecules)):
        part = slice(legal.offset[m], legal.offset[m + 1])
        np.testing.assert_array_equal(legal.number[part], np.flatnonzero(mask[m]))
        assert (legal.molecule[part] == m).all()


def test_nothing_and_stop_change_nothing() -> None:
    space, molecules = ActionSpace(RULES), walked(2, 20)
    before = to_smiles(molecules)
    space.apply(molecules, np.where(np.arange(len(molecules)) % 2, NOTHING, STOP))
    assert to_smiles(molecules) == before


def test_numbers_mean_different_edits() -> None:
    space = ActionSpace(RULES)
    edits = space.decode(np.arange(space.size))
    assert len(set(zip(*(values.tolist() for values in edits), strict=True))) == space.size
    assert [int((edits.kind == kind).sum()) for kind in (STOP, ADD, BOND)] == [1, 12 * 5 * 3, 66 * 4]


def test_nothing_is_left_of_removed_atoms() -> None:
    """What is beyond the last atom is as if it had never been."""
    molecules = walked(3, 60)
    empty = Molecules.empty(1, RULES.max_atoms)
    for m in range(len(molecules)):
        count = molecules.count[m]
        for name in ("element", "charge", "valence", "capacity"):
            assert not getattr(molecules, name)[m, count:].any()
        for name in ("bond", "distance", "ring"):
            values, nothing = getattr(molecules, name)[m], getattr(empty, name)[0]
            np.testing.assert_array_equal(values[count:], nothing[count:])
            np.testing.assert_array_equal(values[:, count:], nothing[:, count:])


def test_a_full_molecule_can_only_be_rebonded() -> None:
    space = ActionSpace(Rules(max_atoms=4))
    molecules = from_smiles(["CCCC", "CCC"], 4)
    legal = space.legal(molecules)
    kinds = space.decode(legal.number).kind
    assert not (kinds[: legal.offset[1]] == ADD).any()
    assert (kinds[legal.offset[1] :] == ADD).any()
