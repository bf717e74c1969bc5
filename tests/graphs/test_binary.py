"""RDKit's binary form read byte by byte, against the walk that asks RDKit for each atom and bond."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem, rdBase

from hydrasurr.graphs import binary
from hydrasurr.graphs.smiles import featurize
from hydrasurr.graphs.walk import walk
from tests.graphs.test_smiles import FRAGMENTS
from tests.molecules import HARD
from tests.tables import assert_same_table

REFUSED = {
    "atom map": "[CH3:7]C",
    "wildcard": "*C",
    "256 atoms": "C" * 256,
}


def parse(smiles: list[str]) -> list[Chem.Mol]:
    with rdBase.BlockLogs():
        return [mol for text in smiles if (mol := Chem.MolFromSmiles(text)) is not None]


def check(mols: list[Chem.Mol]) -> np.ndarray:
    """What is read equals the walk; returns which were read."""
    table, known = binary.read(mols)
    assert_same_table(table, walk([mol for mol, good in zip(mols, known, strict=True) if good]))
    return known


@pytest.mark.parametrize("source", ["real_smiles", "esol_smiles", "pubchem_smiles"])
def test_every_real_molecule_is_read_and_equals_the_walk(source: str, request: pytest.FixtureRequest) -> None:
    """Also says whether the installed RDKit still writes the version that is known here."""
    assert check(parse(request.getfixturevalue(source))).all()


def test_hard_molecules() -> None:
    mols = parse([*HARD.values(), *REFUSED.values()])
    known = check(mols)
    assert known.sum() > len(mols) / 2
    for mol, good in zip(mols, known, strict=True):
        assert check([mol]).tolist() == [good]


@pytest.mark.parametrize("smiles", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_unknown_is_refused_and_walked(smiles: str) -> None:
    mols = parse(["CCO", smiles, "c1ccccc1F", "C/C=C/C"])
    assert check(mols).tolist() == [True, False, True, True]
    together = featurize(["CCO", smiles, "c1ccccc1F", "C/C=C/C"], max_atoms=1000).table
    apart = [featurize([text], max_atoms=1000).table for text in ("CCO", smiles, "c1ccccc1F", "C/C=C/C")]
    for graph, alone in zip(together, apart, strict=True):
        assert_same_table(graph, alone)


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    header = binary._HEADER.copy()
    header[12] += 1
    monkeypatch.setattr(binary, "_HEADER", header)
    assert not check(parse(["CC", "CCC", "CO", "CN"])).any()


FRAGMENTS_AND_MORE = [*FRAGMENTS, "[13CH3]", "[C@@]", "%10", "[Si-2]", "[C]", "[CH3:2]"]
SMILES = st.lists(st.sampled_from(FRAGMENTS_AND_MORE), min_size=1, max_size=16).map("".join)


@given(st.lists(SMILES, max_size=6))
def test_whatever_rdkit_reads_equals_the_walk(smiles: list[str]) -> None:
    check(parse(smiles))
