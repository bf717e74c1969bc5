"""RDKit's binary form read byte by byte, against the walk that asks RDKit for each atom and bond."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem, rdBase

from hydrasurr.graphs import binary
from hydrasurr.graphs.walk import Codes, walk
from tests.graphs.test_smiles import FRAGMENTS
from tests.molecules import HARD

REFUSED = {
    "atom map": "[CH3:7]C",
    "wildcard": "*C",
    "256 atoms": "C" * 256,
}


def walked(smiles: str) -> Codes:
    codes = Codes()
    walk(Chem.MolFromSmiles(smiles), codes)
    return codes


@pytest.mark.parametrize("source", ["real_smiles", "esol_smiles", "pubchem_smiles"])
def test_every_real_molecule_is_read_and_equals_the_walk(source: str, request: pytest.FixtureRequest) -> None:
    """Also says whether the installed RDKit still writes the version that is known here."""
    for smiles in request.getfixturevalue(source):
        codes = Codes()
        assert binary.read(Chem.MolFromSmiles(smiles), codes), smiles
        assert codes == walked(smiles), smiles


@pytest.mark.parametrize("smiles", HARD.values(), ids=HARD.keys())
def test_hard_molecules(smiles: str) -> None:
    codes = Codes()
    if binary.read(Chem.MolFromSmiles(smiles), codes):
        assert codes == walked(smiles)
    else:
        assert codes == Codes()


@pytest.mark.parametrize("smiles", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_unknown_is_refused(smiles: str) -> None:
    codes = Codes()
    assert not binary.read(Chem.MolFromSmiles(smiles), codes)
    assert codes == Codes()


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary, "_HEADER", binary._HEADER[:-1] + b"\x01")
    assert not binary.read(Chem.MolFromSmiles("CC"), Codes())


@given(st.lists(st.sampled_from([*FRAGMENTS, "[13CH3]", "[C@@]", "%10", "[Si-2]", "[C]"]), min_size=1, max_size=16))
def test_whatever_rdkit_reads_equals_the_walk(fragments: list[str]) -> None:
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles("".join(fragments))
    codes = Codes()
    if mol is not None and binary.read(mol, codes):
        assert codes == walked("".join(fragments))
