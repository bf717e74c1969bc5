"""SMILES to PyG `Data` as PyG users write it: RDKit with explicit hydrogens, atom by atom and bond by bond."""

from __future__ import annotations

import torch
from rdkit import Chem
from torch_geometric.data import Data

from hydrasurr.graphs.schema import MAX_CHARGE, MAX_DEGREE, MAX_HYDROGENS, MAX_RADICALS
from hydrasurr.graphs.walk import BOND_TYPE_CODE, OTHER_STEREO, STEREO_CODE, chirality_code

_UNTAGGED = Chem.ChiralType.CHI_UNSPECIFIED
_S = int(Chem.HybridizationType.S)


def pyg_data(smiles: str) -> Data:
    """The graph that `hydrasurr.graphs.smiles.featurize` makes, atoms and bonds in the same order, codes as int64."""
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    x = [_atom(atom) for atom in mol.GetAtoms()]
    ends, edge_attr = [], []
    for bond in mol.GetBonds():
        begin, end = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        codes = _bond(bond)
        ends += [(begin, end), (end, begin)]
        edge_attr += [codes, codes]
    return Data(
        x=torch.tensor(x),
        edge_index=torch.tensor(ends, dtype=torch.long).view(-1, 2).t().contiguous(),
        edge_attr=torch.tensor(edge_attr, dtype=torch.long).view(-1, 4),
    )


def _atom(atom: Chem.Atom) -> list[int]:
    element = atom.GetAtomicNum()
    return [
        element,
        min(max(atom.GetFormalCharge(), -MAX_CHARGE), MAX_CHARGE) + MAX_CHARGE,
        chirality_code(atom) if atom.GetChiralTag() != _UNTAGGED else 0,
        _S if element == 1 else int(atom.GetHybridization()),  # AddHs leaves it open
        int(atom.GetIsAromatic()),
        int(atom.IsInRing()),
        min(atom.GetDegree(), MAX_DEGREE),
        min(atom.GetTotalNumHs(includeNeighbors=True), MAX_HYDROGENS),
        min(atom.GetNumRadicalElectrons(), MAX_RADICALS),
    ]


def _bond(bond: Chem.Bond) -> list[int]:
    return [
        BOND_TYPE_CODE.get(bond.GetBondType(), 0),
        STEREO_CODE.get(bond.GetStereo(), OTHER_STEREO),
        int(bond.GetIsConjugated()),
        int(bond.IsInRing()),
    ]
