"""SMILES -> GraphTable with RDKit.

Only the atoms RDKit parses are walked in Python; hydrogens are appended as arrays, in the order in which
RDKit's `AddHs` would append them, so the result equals a walk over `AddHs(mol)` at half the cost. (But for one
thing: `AddHs` leaves the hybridization of new hydrogens unspecified; here all hydrogens are S, as written ones.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdchem

from hydrasurr.graphs.schema import (
    MAX_CHARGE,
    MAX_DEGREE,
    MAX_HYDROGENS,
    MAX_RADICALS,
    FeatureSchema,
    molecule_schema,
)
from hydrasurr.graphs.table import GraphTable, offsets_from_counts, ranges, smallest_uint

MAX_ATOMS = 256
"""Default size limit; up to here a node index fits one byte."""

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
_ELEMENT, _ATTACHED = 0, 7  # columns of x
_HYDROGEN = np.array([1, MAX_CHARGE, 0, 1, 0, 0, 1, 0, 0], np.uint8)
_HYDROGEN_BOND = np.array([1, 0, 0, 0], np.uint8)


class Reject(NamedTuple):
    """A molecule that became no graph: its place in the input, and why."""

    index: int
    smiles: str
    reason: str


class Featurized(NamedTuple):
    """`table[k]` is the graph of `smiles[accepted[k]]`; all other molecules are in `rejects`."""

    table: GraphTable
    accepted: np.ndarray
    rejects: list[Reject]


def featurize(
    smiles: Sequence[str], schema: FeatureSchema | None = None, max_atoms: int = MAX_ATOMS
) -> Featurized:
    """Turn SMILES into graphs; bad ones are reported, never fatal.

    Parameters
    ----------
    smiles : one molecule each; surrounding blanks are ignored
    schema : `molecule_schema()` (explicit hydrogens) or `molecule_schema(False)`
    max_atoms : molecules with more nodes than this are rejected; also fixes the dtype of `edge_index`

    Returns a Featurized whose table has the columns `x` and `edge_attr`.
    """
    explicit = (schema or molecule_schema()).explicit_hydrogens
    nodes, edges, ends, hydrogens = bytearray(), bytearray(), [], bytearray()
    node_counts, edge_counts, accepted, rejects = [], [], [], []
    with rdBase.BlockLogs():
        for index, text in enumerate(smiles):
            text = text.strip() if isinstance(text, str) else ""  # None and NaN: missing
            mol = _parse(text) if text else None
            reason = _unfit(text, mol, explicit, max_atoms)
            if reason:
                rejects.append(Reject(index, text, reason))
                continue
            hydrogens += _walk_atoms(mol, nodes, explicit)
            _walk_bonds(mol, edges, ends)
            node_counts.append(mol.GetNumAtoms())
            edge_counts.append(mol.GetNumBonds())
            accepted.append(index)

    table = GraphTable(
        offsets={
            "node": offsets_from_counts(np.array(node_counts, np.int64)),
            "edge": offsets_from_counts(np.array(edge_counts, np.int64)),
        },
        edge_index=np.array(ends, np.int64).reshape(-1, 2).T,
        columns={
            "x": np.frombuffer(bytes(nodes), np.uint8).reshape(-1, len(_HYDROGEN)),
            "edge_attr": np.frombuffer(bytes(edges), np.uint8).reshape(-1, len(_HYDROGEN_BOND)),
        },
    )
    if explicit:
        table = _append_hydrogens(table, np.frombuffer(bytes(hydrogens), np.uint8))
    edge_index = table.edge_index.astype(smallest_uint(max_atoms - 1))
    table = GraphTable(table.offsets, edge_index, table.columns)
    return Featurized(table, np.array(accepted, np.int64), rejects)


def _unfit(text: str, mol: Chem.Mol | None, explicit: bool, max_atoms: int) -> str:
    """Why this is no graph, or an empty string."""
    if not text:
        return "empty SMILES"
    if mol is None:
        return _parse_problem(text)
    if mol.GetNumAtoms() == 0:
        return "no atoms"
    size = mol.GetNumAtoms(onlyExplicit=not explicit)
    if size > max_atoms:
        return f"{size} atoms, over the limit of {max_atoms} (max_atoms)"
    return ""


def _parse(text: str) -> Chem.Mol | None:
    """The molecule, or None if RDKit refuses it."""
    try:
        return Chem.MolFromSmiles(text)
    except (UnicodeError, RuntimeError):  # text with lone surrogates; an invariant violated within RDKit
        return None


def _parse_problem(text: str) -> str:
    """RDKit's reason for refusing a SMILES, in a few words."""
    problems = ()
    try:
        mol = Chem.MolFromSmiles(text, sanitize=False)
        if mol is None:
            return "SMILES syntax error"
        problems = Chem.DetectChemistryProblems(mol)
    except UnicodeError:
        return "SMILES is not UTF-8 text"
    except RuntimeError:  # as in `_parse`, for example from 255 hydrogens on one atom
        pass
    return problems[0].Message() if problems else "RDKit could not sanitize the molecule"


def _walk_atoms(mol: Chem.Mol, nodes: bytearray, explicit: bool) -> bytearray:
    """Append the feature codes of each atom to `nodes`; return the number of hydrogens to add to each."""
    added = bytearray()
    for atom in mol.GetAtoms():
        hydrogens = atom.GetTotalNumHs()  # not those that are atoms of the graph already
        neighbours = atom.GetDegree()
        chirality = 0
        if atom.GetChiralTag() != _UNSPECIFIED:
            label = atom.GetProp("_CIPCode") if atom.HasProp("_CIPCode") else ""
            chirality = _CHIRALITY.get(label, _OTHER_CHIRALITY)
        attached = hydrogens
        if neighbours:
            attached = atom.GetTotalNumHs(includeNeighbors=True)
        nodes += bytes(
            (
                atom.GetAtomicNum(),
                min(max(atom.GetFormalCharge(), -MAX_CHARGE), MAX_CHARGE) + MAX_CHARGE,
                chirality,
                int(atom.GetHybridization()),
                atom.GetIsAromatic(),
                atom.IsInRing(),
                min(neighbours + hydrogens if explicit else neighbours, MAX_DEGREE),
                min(attached, MAX_HYDROGENS),
                min(atom.GetNumRadicalElectrons(), MAX_RADICALS),
            )
        )
        added.append(hydrogens)
    return added


def _walk_bonds(mol: Chem.Mol, edges: bytearray, ends: list[int]) -> None:
    """Append the feature codes and the two ends of each bond."""
    for bond in mol.GetBonds():
        edges += bytes(
            (
                _BOND_TYPE.get(bond.GetBondType(), 0),
                _STEREO.get(bond.GetStereo(), _OTHER_STEREO),
                bond.GetIsConjugated(),
                bond.IsInRing(),
            )
        )
        ends += (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())


def _append_hydrogens(table: GraphTable, added: np.ndarray) -> GraphTable:
    """Give each node `added[node]` hydrogens (uint8 `[N]`), placed after the other nodes of its graph."""
    old_nodes, old_edges = table.counts("node"), table.counts("edge")
    sums = np.concatenate([[0], np.cumsum(added, dtype=np.int64)])
    hydrogens = sums[table.node_offset[1:]] - sums[table.node_offset[:-1]]
    node_offset = offsets_from_counts(old_nodes + hydrogens)
    edge_offset = offsets_from_counts(old_edges + hydrogens)

    x = np.tile(_HYDROGEN, (node_offset[-1], 1))
    x[ranges(node_offset[:-1], old_nodes)] = table.x
    x[ranges(node_offset[:-1] + old_nodes, hydrogens), _ATTACHED] = np.repeat(table.x[:, _ELEMENT] == 1, added)
    edge_attr = np.tile(_HYDROGEN_BOND, (edge_offset[-1], 1))
    edge_index = np.empty((2, edge_offset[-1]), np.int64)
    kept = ranges(edge_offset[:-1], old_edges)
    edge_attr[kept], edge_index[:, kept] = table.edge_attr, table.edge_index

    new = ranges(edge_offset[:-1] + old_edges, hydrogens)
    heavy_index = np.arange(table.num_nodes) - np.repeat(table.node_offset[:-1], old_nodes)
    edge_index[0, new] = np.repeat(heavy_index, added)
    edge_index[1, new] = ranges(old_nodes, hydrogens)
    return GraphTable(
        {"node": node_offset, "edge": edge_offset}, edge_index, {"x": x, "edge_attr": edge_attr}
    )
