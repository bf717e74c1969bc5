"""Molecules as graphs, atoms and bonds asked of RDKit one by one: the plain form of `binary`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdchem

from hydrasurr.graphs.schema import MAX_CHARGE, MAX_RADICALS
from hydrasurr.graphs.table import GraphTable, offsets_from_counts

ELEMENT, CHARGE, CHIRALITY, HYBRIDIZATION, AROMATIC, RING, DEGREE, ATTACHED, RADICALS = range(9)
"""Columns of a node's codes."""
BOND_TYPE, STEREO, CONJUGATED, BOND_RING = range(4)
"""Columns of an edge's codes."""

BOND_TYPE_CODE = {
    rdchem.BondType.SINGLE: 1,
    rdchem.BondType.DOUBLE: 2,
    rdchem.BondType.TRIPLE: 3,
    rdchem.BondType.AROMATIC: 4,
    rdchem.BondType.DATIVE: 5,
}
"""Other types have the code 0."""
STEREO_CODE = {
    rdchem.BondStereo.STEREONONE: 0,
    rdchem.BondStereo.STEREOANY: 1,
    rdchem.BondStereo.STEREOZ: 2,
    rdchem.BondStereo.STEREOE: 3,
    rdchem.BondStereo.STEREOCIS: 4,
    rdchem.BondStereo.STEREOTRANS: 5,
}
OTHER_STEREO = 6
_CHIRALITY_CODE = {"R": 1, "S": 2}
_OTHER_CHIRALITY = 3
_UNSPECIFIED = rdchem.ChiralType.CHI_UNSPECIFIED


def walk(mols: Sequence[Chem.Mol]) -> GraphTable:
    """Graphs of the atoms and bonds that RDKit has, with the columns `x` and `edge_attr`.

    The columns DEGREE and ATTACHED of `x` are not filled in as the schema wants them: the first is 0, the second the
    number of hydrogens that are no atoms of the molecule. Both follow from the graph.
    """
    nodes, edges, ends = bytearray(), bytearray(), []
    for mol in mols:
        for atom in map(mol.GetAtomWithIdx, range(mol.GetNumAtoms())):  # GetAtoms() goes through Python at each step
            nodes += bytes(
                (
                    atom.GetAtomicNum(),
                    min(max(atom.GetFormalCharge(), -MAX_CHARGE), MAX_CHARGE) + MAX_CHARGE,
                    chirality_code(atom) if atom.GetChiralTag() != _UNSPECIFIED else 0,
                    int(atom.GetHybridization()),
                    atom.GetIsAromatic(),
                    atom.IsInRing(),
                    0,
                    atom.GetTotalNumHs(),
                    min(atom.GetNumRadicalElectrons(), MAX_RADICALS),
                )
            )
        for bond in map(mol.GetBondWithIdx, range(mol.GetNumBonds())):
            edges += bytes(
                (
                    BOND_TYPE_CODE.get(bond.GetBondType(), 0),
                    STEREO_CODE.get(bond.GetStereo(), OTHER_STEREO),
                    bond.GetIsConjugated(),
                    bond.IsInRing(),
                )
            )
            ends += (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
    return GraphTable(
        offsets={
            "node": offsets_from_counts(np.array([mol.GetNumAtoms() for mol in mols], np.int64)),
            "edge": offsets_from_counts(np.array([mol.GetNumBonds() for mol in mols], np.int64)),
        },
        edge_index=np.array(ends, np.int64).reshape(-1, 2).T,
        columns={
            "x": np.frombuffer(nodes, np.uint8).reshape(-1, 9),
            "edge_attr": np.frombuffer(edges, np.uint8).reshape(-1, 4),
        },
    )


def chirality_code(atom: Chem.Atom) -> int:
    """Of an atom that has a chiral tag."""
    return _CHIRALITY_CODE.get(atom.GetProp("_CIPCode") if atom.HasProp("_CIPCode") else "", _OTHER_CHIRALITY)
