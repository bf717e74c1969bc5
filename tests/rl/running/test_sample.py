"""Trained agents design molecules: different ones, within their rules, and worth what is said."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem.QED import qed

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.running.folder import DesignFolder
from hydrasurr.rl.running.sample import TOGETHER, TRIES, sample
from tests.rl.running.designs import BASE, LEARNERS, design


@pytest.fixture
def trained(small_run: Callable[[str], DesignFolder]) -> DesignFolder:
    return small_run("ppo")


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_different_molecules_best_first(trained: DesignFolder, capsys: pytest.CaptureFixture[str]) -> None:
    sample(trained.path, 40, seed=3)
    told = capsys.readouterr()
    assert told.err == ""
    found = rows(told.out)
    smiles = [row["smiles"] for row in found]
    assert len(set(smiles)) == len(smiles) == 40
    mols = list(map(Chem.MolFromSmiles, smiles))
    rules = BASE["environment"]["rules"]
    assert [Chem.MolToSmiles(mol) for mol in mols] == smiles
    assert all(atom.GetSymbol() in rules["elements"] for mol in mols for atom in mol.GetAtoms())
    assert max(mol.GetNumAtoms() for mol in mols) <= rules["max_atoms"]
    worth = [float(row["worth"]) for row in found]
    assert worth == sorted(worth, reverse=True)
    np.testing.assert_allclose(worth, [qed(mol) for mol in mols], rtol=1e-5)
    assert [row["qed"] for row in found] == [row["worth"] for row in found]
    assert {row["std of qed"] for row in found} == {"0"}


def test_the_seed_decides(trained: DesignFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the folder or the file, to standard output or a file; fewer molecules are the first ones found."""
    sample(trained.path, 12, seed=5, out=tmp_path / "a.csv")
    sample(trained.policy, 12, seed=5)
    assert rows(capsys.readouterr().out) == rows((tmp_path / "a.csv").read_text())
    sample(trained.policy, 12, seed=6)
    assert rows(capsys.readouterr().out) != rows((tmp_path / "a.csv").read_text())
    sample(trained.policy, 6, seed=5)
    few = [row["smiles"] for row in rows(capsys.readouterr().out)]
    assert len(few) == 6


def test_more_than_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of two carbons there are four molecules."""
    rules = {"rules": {"elements": ["C"], "max_atoms": 2}}
    run = design(tmp_path / "run", environment=rules, learner=LEARNERS["random"], running={"actors": 1}, frames=50)
    sample(run.path, 10)
    told = capsys.readouterr()
    assert sorted(row["smiles"] for row in rows(told.out)) == ["C", "C#C", "C=C", "CC"]
    episodes = -(-TRIES * 10 // TOGETHER) * TOGETHER
    assert f"of the 10 different molecules asked for the agent designed 4 in {episodes} episodes" in told.err


def test_what_is_no_agent(trained: DesignFolder, tmp_path: Path) -> None:
    with pytest.raises(HydrasurrError, match=r"has no policy\.safetensors: a run writes it when it has finished"):
        sample(tmp_path, 5)
    with pytest.raises(HydrasurrError, match="is not a trained agent"):
        sample(trained.config, 5)
