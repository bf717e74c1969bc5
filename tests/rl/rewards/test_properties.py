"""Properties against values from elsewhere, and by hand."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from rdkit import Chem, RDConfig
from rdkit.Chem import AllChem

from hydrasurr.rl.rewards.properties import (
    Computed,
    DrugLikeness,
    LogP,
    PenalisedLogP,
    Similarity,
    SyntheticAccessibility,
)


def value(of: Computed, smiles: str) -> float:
    return of.of(Chem.MolFromSmiles(smiles))


# S. A. Wildman, G. M. Crippen, J. Chem. Inf. Comput. Sci. 39, 868 (1999), Table 1.
C1, C18, H1 = 0.1441, 0.1581, 0.1230
"""Contributions to logP: a carbon of CH4, CH3R or CH2R2, an aromatic CH, a hydrogen of a hydrocarbon."""


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("C", C1 + 4 * H1),
        ("c1ccccc1", 6 * (C18 + H1)),
        ("C1CCCCCCC1", 8 * (C1 + 2 * H1)),
        ("C" * 38, 38 * C1 + 78 * H1),
    ],
)
def test_logp_by_hand(smiles: str, expected: float) -> None:
    assert value(LogP(), smiles) == pytest.approx(expected, abs=1e-9)


def test_sa_scores_are_the_published_ones() -> None:
    """Of 100 molecules of ZINC, which the authors of the score give with it."""
    [path] = Path(RDConfig.RDContribDir).glob("SA_Score/data/zim.100.txt")
    with path.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) == 100
    for row in rows:
        assert value(SyntheticAccessibility(), row["smiles"]) == pytest.approx(float(row["sa_score"]), abs=1e-3)


@pytest.mark.parametrize(
    ("smiles", "excess"), [("c1ccccc1", 0), ("C1CCCCCCC1", 2), ("C1CCCCCCC1c1ccccc1", 2), ("C", 0)]
)
def test_penalised_logp_by_hand(smiles: str, excess: int) -> None:
    """The atoms by which rings exceed six, counted in the SMILES."""
    expected = value(LogP(), smiles) - value(SyntheticAccessibility(), smiles) - excess
    assert value(PenalisedLogP(), smiles) == pytest.approx(expected, abs=1e-12)


def test_penalised_logp_of_benzene() -> None:
    """The easiest molecule to make, SA 1, without a large ring."""
    assert value(PenalisedLogP(), "c1ccccc1") == pytest.approx(6 * (C18 + H1) - 1)


def test_qed_of_aspirin() -> None:
    """0.550 with the mean weights."""
    assert value(DrugLikeness(), "CC(=O)Oc1ccccc1C(=O)O") == pytest.approx(0.550, abs=5e-4)


@pytest.mark.parametrize("other", ["CCO", "CC(=O)Nc1ccc(O)cc1", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O"])
def test_similarity_counts_common_environments(other: str) -> None:
    """Tanimoto of the sets of RDKit's bits, by an older function of RDKit."""
    aspirin = "OC(=O)c1ccccc1OC(C)=O"
    a, b = (
        set(AllChem.GetMorganFingerprintAsBitVect(Chem.MolFromSmiles(s), 2, 2048).GetOnBits()) for s in (aspirin, other)
    )
    assert value(Similarity(to=aspirin), other) == pytest.approx(len(a & b) / len(a | b))


@pytest.mark.parametrize("text", ["nonsense", "", "C(C)(C)(C)(C)C"])
def test_a_similarity_needs_a_molecule(text: str) -> None:
    with pytest.raises(ValueError, match="RDKit reads no molecule there"):
        Similarity(to=text)
