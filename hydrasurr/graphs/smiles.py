"""SMILES -> GraphTable with RDKit.

Only the atoms RDKit parses are visited, molecule by molecule; hydrogens are appended as arrays, in the order in which
RDKit's `AddHs` would append them, so the result equals a walk over `AddHs(mol)` at a fraction of the cost. (But for
one thing: `AddHs` leaves the hybridization of new hydrogens unspecified; here all hydrogens are S, as written ones.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rdkit import Chem, rdBase

from hydrasurr.graphs import binary
from hydrasurr.graphs.schema import MAX_CHARGE, MAX_DEGREE, MAX_HYDROGENS, FeatureSchema, molecule_schema
from hydrasurr.graphs.table import GraphTable, concatenate, offsets_from_counts, ranges, smallest_uint
from hydrasurr.graphs.walk import ATTACHED, DEGREE, ELEMENT, walk

MAX_ATOMS = 256
"""Default size limit; up to here a node index fits one byte."""

_FEW = 6
"""So few molecules are faster walked than read together."""
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


def featurize(smiles: Sequence[str], schema: FeatureSchema | None = None, max_atoms: int = MAX_ATOMS) -> Featurized:
    """Turn SMILES into graphs; bad ones are reported, never fatal.

    Parameters
    ----------
    smiles : one molecule each; surrounding blanks are ignored
    schema : `molecule_schema()` (explicit hydrogens) or `molecule_schema(False)`
    max_atoms : molecules with more nodes than this are rejected; also fixes the dtype of `edge_index`

    Returns a Featurized whose table has the columns `x` and `edge_attr`.
    """
    explicit = (schema or molecule_schema()).explicit_hydrogens
    mols, accepted, rejects = [], [], []
    with rdBase.BlockLogs():
        for index, text in enumerate(smiles):
            text = text.strip() if isinstance(text, str) else ""  # None and NaN: missing
            mol = _parse(text) if text else None
            reason = _unfit(text, mol, explicit, max_atoms)
            if reason:
                rejects.append(Reject(index, text, reason))
            else:
                mols.append(mol)
                accepted.append(index)

    table = _graphs(mols)
    hydrogens = table.x[:, ATTACHED].copy()
    _count_neighbours(table, hydrogens, explicit)
    if explicit:
        table = _append_hydrogens(table, hydrogens)
    edge_index = table.edge_index.astype(smallest_uint(max_atoms - 1))
    table = GraphTable(table.offsets, edge_index, table.columns)
    return Featurized(table, np.array(accepted, np.int64), rejects)


def _unfit(text: str, mol: Chem.Mol | None, explicit: bool, max_atoms: int) -> str:
    """Why this is no graph, or an empty string."""
    if not text:
        return "empty SMILES"
    if mol is None:
        return _parse_problem(text)
    size = mol.GetNumAtoms(onlyExplicit=not explicit)
    if not size:
        return "no atoms"
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


def _graphs(mols: list[Chem.Mol]) -> GraphTable:
    """The graphs as `walk` makes them, in the fastest way."""
    if len(mols) <= _FEW:
        return walk(mols)
    table, known = binary.read(mols)
    if known.all():
        return table
    others = np.flatnonzero(~known)
    order = np.argsort(np.concatenate([np.flatnonzero(known), others]))
    return concatenate([table, walk([mols[other] for other in others])]).gather(order)


def _count_neighbours(table: GraphTable, hydrogens: np.ndarray, explicit: bool) -> None:
    """Fill in degree and attached hydrogens of each node, of which `hydrogens` (uint8 `[N]`) are not in the table."""
    ends = table.edge_index + np.repeat(table.node_offset[:-1], table.counts("edge"))
    neighbours = np.bincount(ends.ravel(), minlength=table.num_nodes)
    is_hydrogen = table.x[:, ELEMENT] == 1
    attached = hydrogens + np.bincount(ends.ravel(), is_hydrogen[ends[::-1]].ravel(), minlength=table.num_nodes)
    table.x[:, DEGREE] = np.minimum(neighbours + hydrogens if explicit else neighbours, MAX_DEGREE)
    table.x[:, ATTACHED] = np.minimum(attached, MAX_HYDROGENS)


def _append_hydrogens(table: GraphTable, added: np.ndarray) -> GraphTable:
    """Give each node `added[node]` hydrogens (uint8 `[N]`), placed after the other nodes of its graph."""
    old_nodes, old_edges = table.counts("node"), table.counts("edge")
    sums = np.concatenate([[0], np.cumsum(added, dtype=np.int64)])
    hydrogens = sums[table.node_offset[1:]] - sums[table.node_offset[:-1]]
    node_offset = offsets_from_counts(old_nodes + hydrogens)
    edge_offset = offsets_from_counts(old_edges + hydrogens)

    x = np.tile(_HYDROGEN, (node_offset[-1], 1))
    x[ranges(node_offset[:-1], old_nodes)] = table.x
    x[ranges(node_offset[:-1] + old_nodes, hydrogens), ATTACHED] = np.repeat(table.x[:, ELEMENT] == 1, added)
    edge_attr = np.tile(_HYDROGEN_BOND, (edge_offset[-1], 1))
    edge_index = np.empty((2, edge_offset[-1]), np.int64)
    kept = ranges(edge_offset[:-1], old_edges)
    edge_attr[kept], edge_index[:, kept] = table.edge_attr, table.edge_index

    new = ranges(edge_offset[:-1] + old_edges, hydrogens)
    heavy_index = np.arange(table.num_nodes) - np.repeat(table.node_offset[:-1], old_nodes)
    edge_index[0, new] = np.repeat(heavy_index, added)
    edge_index[1, new] = ranges(old_nodes, hydrogens)
    return GraphTable({"node": node_offset, "edge": edge_offset}, edge_index, {"x": x, "edge_attr": edge_attr})
