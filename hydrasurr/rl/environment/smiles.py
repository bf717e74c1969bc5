"""Molecules from SMILES and back, by RDKit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import islice

import numpy as np
from rdkit import Chem, rdBase

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.environment.molecules import Molecules
from hydrasurr.rl.environment.rules import usual_valence

BONDS = (None, Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE)


def from_smiles(smiles: Sequence[str], max_atoms: int) -> Molecules:
    """Molecules as arrays, without stereochemistry and isotopes.

    Raises HydrasurrError naming a SMILES that is not one, has several parts, radicals, dative or query bonds, hydrogen
    or unknown atoms among the heavy ones, or more heavy atoms than `max_atoms`.
    """
    molecules = Molecules.empty(len(smiles), max_atoms)
    with rdBase.BlockLogs():
        for m, text in enumerate(smiles):
            _read(text, molecules, m)
    molecules.find_paths()
    return molecules


def _read(text: str, molecules: Molecules, m: int) -> None:
    mol = Chem.MolFromSmiles(text)
    problem = _problem(mol, molecules.max_atoms)
    if problem:
        raise HydrasurrError(f"cannot start from the molecule '{text}': {problem}")
    Chem.Kekulize(mol, clearAromaticFlags=True)
    for atom in mol.GetAtoms():
        place, valence = (m, atom.GetIdx()), atom.GetTotalValence()
        molecules.element[place] = atom.GetAtomicNum()
        molecules.charge[place] = atom.GetFormalCharge()
        molecules.capacity[place] = molecules.valence[place] = valence
        # Beyond the usual valence one hydrogen fills up to the next one; with more, as in phosphine oxide, all stay.
        if not atom.GetFormalCharge() and atom.GetTotalNumHs() < 2:
            molecules.valence[place] = min(valence, usual_valence(atom.GetSymbol()))
    for bond in mol.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        molecules.bond[m, i, j] = molecules.bond[m, j, i] = BONDS.index(bond.GetBondType())
    molecules.count[m] = mol.GetNumAtoms()


def _problem(mol: Chem.Mol | None, max_atoms: int) -> str:
    """Why a molecule cannot be edited, or an empty string."""
    if mol is None or not mol.GetNumAtoms():
        return "RDKit reads no molecule there"
    if mol.GetNumAtoms() > max_atoms:
        return f"it has {mol.GetNumAtoms()} heavy atoms, and at most {max_atoms} are allowed (max_atoms)"
    if len(Chem.GetMolFrags(mol)) > 1:
        return "it has several parts"
    if any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        return "it has radicals"
    if any(atom.GetAtomicNum() <= 1 for atom in mol.GetAtoms()):
        return "it has explicit hydrogens or unknown atoms"
    known = (*BONDS[1:], Chem.BondType.AROMATIC)
    if any(bond.GetBondType() not in known for bond in mol.GetBonds()):
        return "it has other than single, double, triple and aromatic bonds"
    return ""


def to_rdkit(molecules: Molecules, m: int) -> Chem.Mol:
    """One molecule as RDKit has it, sanitized, with all hydrogens as counts on atoms."""
    return _to_rdkit(molecules[m : m + 1])[0]


def to_smiles(molecules: Molecules) -> list[str]:
    """Canonical SMILES, as RDKit writes them for the same molecules read from SMILES."""
    return [Chem.MolToSmiles(mol) for mol in _to_rdkit(molecules)]


def _to_rdkit(molecules: Molecules) -> list[Chem.Mol]:
    """All molecules, from lists that are made of the arrays at once."""
    exists = molecules.exists
    columns = (molecules.element[exists], molecules.charge[exists], molecules.hydrogens[exists])
    atoms = zip(*(column.tolist() for column in columns), strict=True)
    m, i, j = np.nonzero(np.triu(molecules.bond))
    bonds = zip(i.tolist(), j.tolist(), molecules.bond[m, i, j].tolist(), strict=True)
    bond_counts = np.bincount(m, minlength=len(molecules)).tolist()
    mols = []
    for num_atoms, num_bonds in zip(molecules.count.tolist(), bond_counts, strict=True):
        mol = Chem.RWMol()
        for kind in islice(atoms, num_atoms):
            mol.AddAtom(_atom(*kind))
        for first, second, order in islice(bonds, num_bonds):
            mol.AddBond(first, second, BONDS[order])
        Chem.SanitizeMol(mol)
        mols.append(mol)
    return mols


@lru_cache(maxsize=1024)
def _atom(number: int, charge: int, hydrogens: int) -> Chem.Atom:
    """An atom, of which molecules get copies: making one takes longer than all else about it."""
    atom = Chem.Atom(number)
    atom.SetFormalCharge(charge)
    atom.SetNumExplicitHs(hydrogens)
    atom.SetNoImplicit(True)
    return atom
