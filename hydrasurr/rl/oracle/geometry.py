"""SMILES -> a plausible geometry, by distance geometry and a force field of RDKit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.data import covalent_radii
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from hydrasurr.errors import HydrasurrError

HEAVIEST = 86
"""Atomic number of the last element that the xTB methods know."""
BROKEN = 1.4
"""A bond longer than so many times the sum of its atoms' covalent radii is none."""
FORCE_FIELD_STEPS = 1000


class LabelError(HydrasurrError):
    """A molecule gets no label. The text begins with the kind of reason, in a few words before a colon."""


@dataclass(frozen=True)
class Geometry:
    """A molecule of `N` atoms in space, hydrogens and all.

    Attributes
    ----------
    numbers : int64 `[N]`, atomic numbers
    positions : float64 `[N, 3]`, Angstrom
    charge : of the whole
    bonds : int64 `[B, 2]`, atoms that are bonded by the SMILES
    """

    numbers: np.ndarray
    positions: np.ndarray
    charge: int
    bonds: np.ndarray


def embed(smiles: str, seed: int, conformers: int = 1) -> Geometry:
    """The conformer of lowest energy, by the force field, of `conformers` random ones.

    Raises LabelError for what is no single closed-shell molecule of elements that xTB knows, or cannot be embedded.
    """
    mol = _read(smiles)
    with rdBase.BlockLogs():
        found = _embed(mol, seed, conformers)
        best = found[int(np.argmin(_relax(mol)))]
    return Geometry(
        np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()]),
        mol.GetConformer(best).GetPositions(),
        Chem.GetFormalCharge(mol),
        np.array([(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds()], np.int64).reshape(-1, 2),
    )


def _read(smiles: str) -> Chem.Mol:
    """The molecule with its hydrogens."""
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
        if mol is None or not mol.GetNumAtoms():
            raise LabelError("no molecule: RDKit reads none there")
        mol = Chem.AddHs(mol)
    for atom in mol.GetAtoms():
        if not 1 <= atom.GetAtomicNum() <= HEAVIEST:
            raise LabelError(f"unsupported element: {atom.GetSymbol()}; xTB knows H to Rn")
    parts = len(Chem.GetMolFrags(mol))
    if parts > 1:
        raise LabelError(f"several parts: {parts}; where they lie to each other is not known")
    electrons = sum(atom.GetAtomicNum() for atom in mol.GetAtoms()) - Chem.GetFormalCharge(mol)
    unpaired = sum(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms())
    if unpaired or electrons % 2:
        raise LabelError(f"open shell: {max(unpaired, 1)} unpaired electrons; only closed shells are calculated")
    return mol


def _embed(mol: Chem.Mol, seed: int, conformers: int) -> list[int]:
    """Give `mol` conformers; their ids."""
    options = rdDistGeom.ETKDGv3()
    options.randomSeed = seed
    for options.useRandomCoords in (False, True):
        found = list(rdDistGeom.EmbedMultipleConfs(mol, conformers, options))
        if found:
            return found
    raise LabelError("no embedding: RDKit finds no geometry; the molecule may be too strained to exist")


def _relax(mol: Chem.Mol) -> np.ndarray:
    """Optimise all conformers in place; float64 `[conformers]`, their energies. Zeros if no force field knows it."""
    if rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
        results = rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(mol, maxIters=FORCE_FIELD_STEPS)
    elif rdForceFieldHelpers.UFFHasAllMoleculeParams(mol):
        results = rdForceFieldHelpers.UFFOptimizeMoleculeConfs(mol, maxIters=FORCE_FIELD_STEPS)
    else:
        return np.zeros(mol.GetNumConformers())
    return np.nan_to_num([energy for _, energy in results], nan=np.inf)


def require_bonds(geometry: Geometry, positions: np.ndarray) -> None:
    """Raise LabelError, naming the longest, if bonds of the SMILES are broken in other positions, `[N, 3]`."""
    first, second = geometry.bonds.T
    length = np.linalg.norm(positions[first] - positions[second], axis=1)
    usual = covalent_radii[geometry.numbers[first]] + covalent_radii[geometry.numbers[second]]
    if len(length) and (length > BROKEN * usual).any():
        worst = int(np.argmax(length / usual))
        i, j = (Chem.GetPeriodicTable().GetElementSymbol(int(geometry.numbers[end[worst]])) for end in (first, second))
        raise LabelError(f"fell apart: a bond {i}-{j} is {length[worst]:.2f} Angstrom long in the optimised geometry")
