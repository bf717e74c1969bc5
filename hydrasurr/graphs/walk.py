"""The atoms and bonds of a molecule as feature codes, asked of RDKit one by one."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from rdkit import Chem
from rdkit.Chem import rdchem

from hydrasurr.graphs.schema import MAX_CHARGE, MAX_RADICALS

NODE_WIDTH, EDGE_WIDTH = 9, 4
ELEMENT, CHIRALITY, RING, DEGREE, ATTACHED = 0, 2, 5, 6, 7
"""Columns of a node's codes; degree and attached hydrogens are left 0 here: they follow from the graph."""
EDGE_RING = 3

_BOND_TYPE = {
    rdchem.BondType.SINGLE: 1,
    rdchem.BondType.DOUBLE: 2,
    rdchem.BondType.TRIPLE: 3,
    rdchem.BondType.AROMATIC: 4,
    rdchem.BondType.DATIVE: 5,
}
_STEREO = {
    rdchem.BondStereo.STEREONONE: 0,
    rdchem.BondStereo.STEREOANY: 1,
    rdchem.BondStereo.STEREOZ: 2,
    rdchem.BondStereo.STEREOE: 3,
    rdchem.BondStereo.STEREOCIS: 4,
    rdchem.BondStereo.STEREOTRANS: 5,
}
_OTHER_STEREO = 6
_CHIRALITY = {"R": 1, "S": 2}
_OTHER_CHIRALITY = 3
_UNSPECIFIED = rdchem.ChiralType.CHI_UNSPECIFIED


@dataclass
class Codes:
    """Atoms and bonds of many molecules, one after another."""

    nodes: bytearray = field(default_factory=bytearray)
    """NODE_WIDTH codes an atom."""
    hydrogens: bytearray = field(default_factory=bytearray)
    """Number of hydrogens of each atom that are no atoms of the graph."""
    edges: bytearray = field(default_factory=bytearray)
    """EDGE_WIDTH codes a bond."""
    ends: array = field(default_factory=lambda: array("I"))
    """Begin and end of each bond, counted within the molecule."""


def walk(mol: Chem.Mol, codes: Codes) -> None:
    """Append the codes of a molecule."""
    for atom in mol.GetAtoms():
        codes.nodes += bytes(
            (
                atom.GetAtomicNum(),
                charge_code(atom.GetFormalCharge()),
                chirality_code(atom) if atom.GetChiralTag() != _UNSPECIFIED else 0,
                int(atom.GetHybridization()),
                atom.GetIsAromatic(),
                atom.IsInRing(),
                0,
                0,
                min(atom.GetNumRadicalElectrons(), MAX_RADICALS),
            )
        )
        codes.hydrogens.append(atom.GetTotalNumHs())
    for bond in mol.GetBonds():
        codes.edges += bytes(
            (
                bond_type_code(bond.GetBondType()),
                stereo_code(bond.GetStereo()),
                bond.GetIsConjugated(),
                bond.IsInRing(),
            )
        )
        codes.ends.extend((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))


def charge_code(charge: int) -> int:
    return min(max(charge, -MAX_CHARGE), MAX_CHARGE) + MAX_CHARGE


def chirality_code(atom: Chem.Atom) -> int:
    """Of an atom that has a chiral tag."""
    return _CHIRALITY.get(atom.GetProp("_CIPCode") if atom.HasProp("_CIPCode") else "", _OTHER_CHIRALITY)


def bond_type_code(bond_type: int) -> int:
    return _BOND_TYPE.get(bond_type, 0)


def stereo_code(stereo: int) -> int:
    return _STEREO.get(stereo, _OTHER_STEREO)
