"""The benchmark of molecular design: its peer offers the right molecules, and its parts run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem

from benchmarks import molecules
from benchmarks.molecules import Setting
from benchmarks.result import Result
from benchmarks.rl import PARTS, communication, environment, scheduling
from benchmarks.rl.drugs import SIZES, drugs
from benchmarks.rl.peer_environment import PeerEnvironment, successors
from hydrasurr.rl.environment.rules import Rules
from hydrasurr.rl.environment.smiles import from_smiles, to_smiles
from hydrasurr.rl.policy.network import ActionNetwork
from tests.rl.environment.walks import RULES, walked

CO = Rules(elements=("C", "O"), max_atoms=5, ring_sizes=(4,))
BY_HAND = {
    "C": {"CC", "C=C", "C#C", "CO", "C=O"},
    "O": {"CO", "C=O", "OO", "O=O"},
    "C=O": {"CC=O", "C=C=O", "O=CO", "O=C=O", "CO", "C"},
    "CCCCC": {"C=CCCC", "C#CCCC", "CC=CCC", "CC#CCC", "CCCC", "CC1CCC1", "CC1=CCC1"},
}
"""What one step leads to by these rules."""


@pytest.mark.parametrize("smiles", BY_HAND)
def test_successors_by_hand(smiles: str) -> None:
    assert successors(smiles, CO) == {Chem.CanonSmiles(text) for text in BY_HAND[smiles]}


@given(seed=st.integers(0, 10_000), steps=st.integers(0, 30))
def test_both_environments_offer_the_same(seed: int, steps: int) -> None:
    smiles = to_smiles(walked(seed, steps))
    assert environment.require_same_choice(smiles[seed % len(smiles) :][:1], RULES) == 1


def test_random_steps_stay_within_the_rules() -> None:
    peer = PeerEnvironment(RULES, ["CCO", "c1cc[nH]c1"], seed=1)
    for _ in range(40):
        before = peer.state
        peer.random_step()
        mol = Chem.MolFromSmiles(peer.state)
        assert Chem.MolToSmiles(mol) == peer.state != before
        assert mol.GetNumAtoms() <= RULES.max_atoms
        assert before in peer.successors or mol.GetNumAtoms() < Chem.MolFromSmiles(before).GetNumAtoms()


@pytest.mark.parametrize("shared", [True, False], ids=["as here", "shipped"])
def test_drugs_can_be_edited(shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not shared:
        monkeypatch.setattr(molecules, "ZINC", Path("nowhere"))
    smiles = drugs(40)
    assert len(set(smiles)) == len(smiles) == 40
    found = from_smiles(smiles, SIZES[-1])
    assert set(found.count.tolist()) <= set(SIZES)
    assert to_smiles(found) == smiles
    assert environment.require_same_choice(smiles[:2], Rules()) == 2


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """Of each part, in minimal mode."""
    setting = Setting(tmp_path_factory.mktemp("cache"), minimal=True, repeats=1)
    made = {part.__name__: Result("rl", "", minimal=True) for part in PARTS}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as `python -m benchmarks` does
    for part in PARTS:
        part(made[part.__name__], setting)
    torch.set_num_threads(threads)
    return made


def figures(result: Result, unit: str) -> dict[tuple[str, str], float]:
    return {(row["what"], row["by"]): row["measured"] for row in result.rows if row["unit"] == unit}


def test_rates(results: dict[str, Result]) -> None:
    for name, unit, cases in (("steps", "steps/CPU-s", 2 * 5), ("batches", "molecules/CPU-s", 2 * (3 + 2))):
        rates = figures(results[name], unit)
        assert len(rates) == len(results[name].rows) == cases
        assert all(0 < rate < np.inf for rate in rates.values())
    assert [len(results[name].bars) for name in ("steps", "batches")] == [2, 2]


def test_balance_is_what_it_must_be(results: dict[str, Result]) -> None:
    gamma, efficiency = (figures(results["balance"], figure) for figure in ("gamma", "efficiency"))
    assert len(gamma) == len(efficiency) == 1 + len(scheduling.BARRED)
    for case, value in gamma.items():
        assert 1 <= value <= 2  # of two workers
        assert efficiency[case] <= 1.001 / value  # no worker is busy for longer than it took


def test_bytes_by_formula(results: dict[str, Result]) -> None:
    """Four for each number: of the weights, or of two factors of their gradients where that is much less."""
    [name] = list(communication.MODELS)[:1]
    network = ActionNetwork(communication.MODELS[name], Rules())
    shapes = [parameter.shape for parameter in network.parameters()]
    expected = {"whole": 4 * sum(shape.numel() for shape in shapes)}
    for rank in communication.COLUMNS:
        numbers = 0
        for shape in shapes:
            rows, columns = shape[0], shape[1:].numel()
            factors = rank * (rows + columns)
            numbers += factors if len(shape) > 1 and rows * columns > 1.5 * factors else rows * columns
        expected[f"PowerSGD of rank {rank}"] = 4 * numbers
    found = figures(results["compression"], "kB a step")
    assert {by: round(1000 * kilobytes) for (_, by), kilobytes in found.items()} == expected
    [bar] = results["compression"].bars
    assert bar.measured == pytest.approx(expected["whole"] / expected["PowerSGD of rank 4"])
