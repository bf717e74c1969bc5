"""Molecules as graphs, against a plain walk over RDKit's atoms and bonds that speaks in names, not codes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem, rdBase

from hydrasurr.graphs import GraphTable, concatenate, molecule_schema
from hydrasurr.graphs.schema import ELEMENTS
from hydrasurr.graphs.smiles import featurize
from tests.molecules import HARD, PCQM4MV2_ELEMENTS, UNFIT
from tests.tables import assert_same_table

Named = tuple[list[tuple[str, ...]], list[tuple[int | str, ...]]]
"""The features of each atom, and the ends and features of each bond, by name."""

STEREO = {"STEREONONE": "none", "STEREOANY": "any", "STEREOZ": "Z", "STEREOE": "E"}
STEREO |= {"STEREOCIS": "cis", "STEREOTRANS": "trans"}
BONDS = ("SINGLE", "DOUBLE", "TRIPLE", "AROMATIC", "DATIVE")


def by_name(graph: GraphTable, explicit: bool = True) -> Named:
    """A graph of the table, decoded by the schema that is stored with the data."""
    schema = molecule_schema(explicit)
    atoms = [tuple(f.values[code] for f, code in zip(schema.nodes, row, strict=True)) for row in graph.x.tolist()]
    bonds = [
        (*ends, *(f.values[code] for f, code in zip(schema.edges, row, strict=True)))
        for ends, row in zip(graph.edge_index.T.tolist(), graph.edge_attr.tolist(), strict=True)
    ]
    return atoms, bonds


def count(number: int, last: int) -> str:
    return str(number) if number < last else f">={last}"


def flag(value: bool) -> str:
    return "yes" if value else "no"


def walk(smiles: str, explicit: bool = True) -> Named:
    """The same from RDKit, atom by atom."""
    mol = Chem.MolFromSmiles(smiles.strip())
    written = mol.GetNumAtoms()
    if explicit:
        mol = Chem.AddHs(mol)
    atoms = []
    for atom in mol.GetAtoms():
        charge = atom.GetFormalCharge()
        hybridization = str(atom.GetHybridization())
        if atom.GetIdx() >= written:  # AddHs leaves it open; hydrogens that are written have it
            assert hybridization == "UNSPECIFIED"
            hybridization = "S"
        chirality = "none"
        if atom.GetChiralTag() != Chem.ChiralType.CHI_UNSPECIFIED:
            chirality = atom.GetProp("_CIPCode") if atom.HasProp("_CIPCode") else "other"
        atoms.append(
            (
                atom.GetSymbol(),
                "<=-6" if charge <= -6 else ">=6" if charge >= 6 else str(charge),
                chirality,
                hybridization.lower() if hybridization in ("UNSPECIFIED", "OTHER") else hybridization,
                flag(atom.GetIsAromatic()),
                flag(atom.IsInRing()),
                count(atom.GetDegree(), 12),
                count(atom.GetTotalNumHs(includeNeighbors=True), 8),
                count(atom.GetNumRadicalElectrons(), 4),
            )
        )
    bonds = [
        (
            bond.GetBeginAtomIdx(),
            bond.GetEndAtomIdx(),
            str(bond.GetBondType()).lower() if str(bond.GetBondType()) in BONDS else "other",
            STEREO.get(str(bond.GetStereo()), "other"),
            flag(bond.GetIsConjugated()),
            flag(bond.IsInRing()),
        )
        for bond in mol.GetBonds()
    ]
    return atoms, bonds


def fingerprint(graph: Named, rounds: int = 10) -> list[int]:
    """Weisfeiler-Lehman colours of all atoms, sorted: equal for isomorphic graphs."""
    atoms, bonds = graph
    neighbours: list[list[tuple[int, tuple]]] = [[] for _ in atoms]
    for a, b, *features in bonds:
        neighbours[a].append((b, tuple(features)))
        neighbours[b].append((a, tuple(features)))
    colours = [hash(atom) for atom in atoms]
    for _ in range(rounds):
        around = [sorted((hash(bond), colours[k]) for k, bond in near) for near in neighbours]
        colours = [hash((own, tuple(near))) for own, near in zip(colours, around, strict=True)]
    return sorted(colours)


def graph_of(smiles: str, explicit: bool = True) -> Named:
    table = featurize([smiles], molecule_schema(explicit)).table
    assert len(table) == 1, smiles
    return by_name(table, explicit)


# -- every feature of every atom and bond --------------------------------------------------------------


@pytest.mark.parametrize("explicit", [True, False], ids=["explicit H", "implicit H"])
@pytest.mark.parametrize("source", ["hard", "real_smiles", "esol_smiles", "pubchem_smiles"])
def test_equals_a_walk_over_rdkit(source: str, explicit: bool, request: pytest.FixtureRequest) -> None:
    smiles = list(HARD.values()) if source == "hard" else request.getfixturevalue(source)
    result = featurize(smiles, molecule_schema(explicit))
    assert result.rejects == []
    assert result.accepted.tolist() == list(range(len(smiles)))
    result.table.validate()
    for text, graph in zip(smiles, result.table, strict=True):
        assert by_name(graph, explicit) == walk(text, explicit), text


def test_every_element() -> None:
    table = Chem.GetPeriodicTable()
    symbols = [table.GetElementSymbol(number) for number in range(119)]
    assert symbols == list(ELEMENTS)
    assert set(PCQM4MV2_ELEMENTS) < set(symbols) and len(PCQM4MV2_ELEMENTS) == 31
    lone = featurize([f"[{symbol}]" if symbol != "*" else "*" for symbol in symbols])
    assert lone.rejects == []
    assert lone.table.x[:, 0].tolist() == list(range(119))


def test_codes_fit_their_feature(real_smiles: list[str]) -> None:
    table = featurize([*real_smiles, *HARD.values()]).table
    schema = molecule_schema()
    assert (table.x < schema.node_sizes).all()
    assert (table.edge_attr < schema.edge_sizes).all()
    assert len(set(table.x[:, 2].tolist())) == 4, "all kinds of chirality occur"
    assert len(set(table.edge_attr[:, 0].tolist())) == 6, "all kinds of bonds occur"


def test_types_are_small(real_smiles: list[str]) -> None:
    table = featurize(real_smiles).table
    assert (table.x.dtype, table.edge_attr.dtype, table.edge_index.dtype) == (np.uint8,) * 3
    assert (table.x.shape[1], table.edge_attr.shape[1], table.directed) == (9, 4, False)


@pytest.mark.parametrize("max_atoms, dtype", [(256, np.uint8), (257, np.uint16), (70_000, np.uint32)])
def test_type_of_edge_index_follows_the_limit_not_the_molecules(max_atoms: int, dtype: type) -> None:
    assert featurize(["C"], max_atoms=max_atoms).table.edge_index.dtype == dtype
    assert featurize([], max_atoms=max_atoms).table.edge_index.dtype == dtype


def test_large_molecule_with_wide_indices() -> None:
    chain = "C" * 400
    table = featurize([chain], max_atoms=2000).table
    assert table.num_nodes == 400 * 3 + 2
    assert by_name(table) == walk(chain)


def test_one_molecule_does_not_change_another(real_smiles: list[str]) -> None:
    smiles = [*real_smiles[:60], *HARD.values(), "broken(", *real_smiles[60:80]]
    alone = [featurize([text]).table for text in smiles]
    assert_same_table(featurize(smiles).table, concatenate(alone))


# -- what the features tell apart ----------------------------------------------------------------------


def test_enantiomers_differ_in_one_feature() -> None:
    left, right = (walk(HARD[f"{side}-alanine"])[0] for side in "LD")
    assert [atom[2] for atom in left].count("S") == 1
    assert [atom[2] for atom in right].count("R") == 1
    left, right = (featurize([HARD[f"{side}-alanine"]]).table for side in "LD")
    assert np.argwhere(left.x != right.x).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    "first, second",
    [
        ("C/C=C/C", "C/C=C\\C"),
        ("C/C=C/C", "CC=CC"),
        ("C[C@H](F)Cl", "CC(F)Cl"),
        ("O[C@@H](C(=O)O)[C@@H](O)C(=O)O", "O[C@H](C(=O)O)[C@@H](O)C(=O)O"),
        ("[CH3]", "C"),
        ("[CH3-]", "[CH3+]"),
        ("[NH3]->[Fe+2]", "[NH3].[Fe+2]"),
        ("[H+]", "[H]"),
    ],
)
def test_different_molecules_differ(first: str, second: str) -> None:
    assert fingerprint(graph_of(first)) != fingerprint(graph_of(second))


@pytest.mark.parametrize(
    "first, second",
    [
        ("c1ccccc1", "C1=CC=CC=C1"),
        ("[H][H]", "[HH]"),
        ("[H]C([H])([H])[H]", "C"),
        ("OCC", "CCO"),
        ("C/C=C/C", "C\\C=C\\C"),
        ("N[C@@H](C)C(=O)O", "C[C@H](N)C(=O)O"),
        ("[13CH4]", "C"),  # isotopes have the same electrons
        ("[CH3:1][OH:2]", "CO"),
        ("CCO ethanol", " CCO"),
    ],
)
def test_same_molecule_written_differently(first: str, second: str) -> None:
    assert fingerprint(graph_of(first)) == fingerprint(graph_of(second))


def rewritten(smiles: str, times: int) -> Iterator[str]:
    mol = Chem.MolFromSmiles(smiles)
    rdBase.SeedRandomNumberGenerator(7)
    for _ in range(times):
        yield Chem.MolToSmiles(mol, doRandom=True)


@pytest.mark.parametrize("source", ["hard", "real_smiles", "esol_smiles", "pubchem_smiles"])
def test_order_of_atoms_in_the_smiles_does_not_matter(source: str, request: pytest.FixtureRequest) -> None:
    """The CIP label, unlike the tag `@`, stays; so do E and Z."""
    smiles = list(HARD.values()) if source == "hard" else request.getfixturevalue(source)[::3]
    for text in smiles:
        expected = fingerprint(graph_of(text.strip()))
        for other in rewritten(text.strip(), 3):
            assert fingerprint(graph_of(other)) == expected, (text, other)


def test_hydrogens_come_after_the_heavy_atoms_in_their_order() -> None:
    atoms, bonds = graph_of("NC")
    assert [atom[0] for atom in atoms] == ["N", "C", "H", "H", "H", "H", "H"]
    assert [bond[:2] for bond in bonds] == [(0, 1), (0, 2), (0, 3), (1, 4), (1, 5), (1, 6)]


def test_implicit_hydrogens_are_counted_not_drawn() -> None:
    atoms, bonds = graph_of("CO", explicit=False)
    assert [(atom[0], atom[6], atom[7]) for atom in atoms] == [("C", "1", "3"), ("O", "1", "1")]
    assert len(bonds) == 1
    deuterium = graph_of("[2H]O[2H]", explicit=False)[0]
    assert [atom[0] for atom in deuterium] == ["H", "O", "H"]


# -- molecules that are none ---------------------------------------------------------------------------


@pytest.mark.parametrize("smiles, reason", UNFIT.items())
def test_reason_of_rejection(smiles: str, reason: str) -> None:
    result = featurize(["C", smiles, "O"])
    assert [(r.index, r.smiles, r.reason) for r in result.rejects] == [(1, smiles.strip(), reason)]
    assert result.accepted.tolist() == [0, 2]
    assert_same_table(result.table, featurize(["C", "O"]).table)


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan], ids=["None", "NaN", "numpy NaN"])
def test_missing_smiles(missing: object) -> None:
    result = featurize([missing, "C"])
    assert [tuple(reject) for reject in result.rejects] == [(0, "", "empty SMILES")]
    assert result.accepted.tolist() == [1]


@pytest.mark.parametrize("explicit, atoms", [(True, 9), (False, 3)])
def test_size_limit_counts_nodes(explicit: bool, atoms: int) -> None:
    schema = molecule_schema(explicit)
    assert featurize(["CCO"], schema, max_atoms=atoms).table.num_nodes == atoms
    over = featurize(["CCO"], schema, max_atoms=atoms - 1)
    assert len(over.table) == 0
    assert over.rejects[0].reason == f"{atoms} atoms, over the limit of {atoms - 1} (max_atoms)"


def test_largest_molecule_of_the_default_limit() -> None:
    radical = "C" * 84 + "[CH2]"  # C85H171
    table = featurize([radical]).table
    assert table.num_nodes == 256 and table.edge_index.dtype == np.uint8
    assert by_name(table) == walk(radical)
    assert featurize(["C" * 85]).rejects[0].reason.startswith("257 atoms")


def test_nothing_gives_an_empty_table_with_all_columns() -> None:
    for smiles in ([], [None], ["("]):
        table = featurize(smiles).table.validate()
        assert (len(table), table.x.shape, table.edge_attr.shape) == (0, (0, 9), (0, 4))


@given(st.lists(st.text(max_size=20), max_size=5))
def test_any_text_is_accepted_or_rejected(texts: list[str]) -> None:
    result = featurize(texts)
    assert sorted([*result.accepted.tolist(), *(r.index for r in result.rejects)]) == list(range(len(texts)))
    assert all(reject.reason for reject in result.rejects)
    assert len(result.table.validate()) == len(result.accepted)


FRAGMENTS = "C N O c n o F Cl S P [H] [2H] [NH3+] [O-] [C@H] [C@@H] [Fe+2] [nH] * = # / \\ -> ( ) 1 2 . ~".split()


@given(st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=12).map("".join), st.booleans())
def test_whatever_rdkit_reads_equals_the_walk(smiles: str, explicit: bool) -> None:
    result = featurize([smiles], molecule_schema(explicit))
    with rdBase.BlockLogs():
        readable = Chem.MolFromSmiles(smiles) is not None
    assert len(result.table) == readable
    if readable:
        assert by_name(result.table, explicit) == walk(smiles, explicit)
