"""Episodes, as arrays and as Gymnasium has them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import SyncVectorEnv
from rdkit import Chem
from rdkit.Chem import QED

from hydrasurr.errors import HydrasurrError
from hydrasurr.graphs.table import GraphTable
from hydrasurr.rl.environment.episodes import EpisodeConfig, Episodes
from hydrasurr.rl.environment.gym import MoleculeEnv, MoleculeVectorEnv
from hydrasurr.rl.environment.molecules import Molecules
from hydrasurr.rl.environment.smiles import from_smiles, to_rdkit, to_smiles
from hydrasurr.rl.environment.starts import StartConfig, load_starts
from hydrasurr.rl.environment.table import STATE_SCHEMA, to_table
from tests.rl.environment.walks import HYDRIDES, STARTS, walked

SHORT = {"rules": {"max_atoms": 9}, "max_steps": 8, "start": {"smiles": ["C", "CO", "C1CC1"]}}


def qed(molecules: Molecules) -> np.ndarray:
    return np.array([QED.qed(to_rdkit(molecules, m)) for m in range(len(molecules))])


def config(**changes: object) -> EpisodeConfig:
    return EpisodeConfig.model_validate(SHORT | changes)


def random_actions(episodes: Episodes, random: np.random.Generator) -> np.ndarray:
    legal = episodes.legal()
    return legal.number[legal.offset[:-1] + (random.random(len(episodes)) * legal.counts).astype(int)]


@pytest.mark.parametrize("reward", ["terminal", "dense"])
@pytest.mark.filterwarnings("ignore:.*the environment not having a spec")
@pytest.mark.filterwarnings("error")
def test_gymnasium_approves(reward: str) -> None:
    check_env(MoleculeEnv(config(reward=reward), qed, render_mode="ansi"))


def test_dense_rewards_add_up_to_the_gain() -> None:
    totals = {}
    for reward in ("terminal", "dense"):
        episodes, random = Episodes(config(reward=reward), qed, 16, seed=3), np.random.default_rng(0)
        episodes.reset()
        before, total = qed(episodes.molecules), np.zeros(16)
        alive = np.ones(16, bool)
        for _ in range(8):
            step = episodes.step(random_actions(episodes, random))
            total[alive] += step.reward[alive]
            at_end = step.ended & alive
            np.testing.assert_allclose(step.objective[at_end], qed(episodes.molecules[np.flatnonzero(at_end)]))
            alive &= ~step.ended
        assert not alive.any()
        totals[reward] = total + (before if reward == "dense" else 0)
    np.testing.assert_allclose(totals["dense"], totals["terminal"])


def test_many_are_one_by_one() -> None:
    """The vectorised environment is what Gymnasium makes of single ones, and tells of ended episodes as that does."""
    place = config(start={"smiles": ["C"]})
    many = MoleculeVectorEnv(place, qed, 3)
    mode = many.metadata["autoreset_mode"]
    singles = SyncVectorEnv([lambda: MoleculeEnv(place, qed)] * 3, autoreset_mode=mode)
    observation, _ = many.reset(seed=0)
    singles.reset(seed=0)
    random, ends = np.random.default_rng(1), 0
    for _ in range(20):
        actions = np.array([random.choice(np.flatnonzero(mask)) for mask in observation["action_mask"]])
        observation, *given, info = many.step(actions)
        expected, *wanted, about = singles.step(actions)
        assert many.observation_space.contains(observation)
        assert data_equivalence(observation, expected)
        assert data_equivalence(given, wanted)
        assert ("final_obs" in info) == ("final_obs" in about)
        if "final_obs" not in info:
            continue
        ended = np.flatnonzero(about["_final_obs"])
        ends += len(ended)
        for name in ("_final_obs", "_final_info"):
            np.testing.assert_array_equal(info[name], about[name])
        for name in ("_smiles", "_objective"):
            np.testing.assert_array_equal(info["final_info"][name], about["final_info"][name])
        for k in ended:
            assert data_equivalence(info["final_obs"][k], about["final_obs"][k])
            for name in ("smiles", "objective"):
                assert info["final_info"][name][k] == about["final_info"][name][k]
    assert ends > 3


def test_what_is_not_allowed_takes_a_step() -> None:
    environment = MoleculeEnv(config(start={"smiles": ["C"]}), qed)
    observation, _ = environment.reset(seed=0)
    wrong = int(np.flatnonzero(observation["action_mask"] == 0)[0])
    for _ in range(7):
        _, reward, terminated, truncated, info = environment.step(wrong)
        assert (reward, terminated, truncated) == (0, False, False)
        assert info == {"smiles": "C", "illegal": True}
    assert environment.step(wrong)[2:4] == (True, False)


@pytest.mark.parametrize("reward", ["terminal", "dense"])
def test_the_last_step_ends_an_episode_for_good_or_cuts_it_off(reward: str) -> None:
    """With the whole reward at the end nothing more can come; else what comes later would have counted too."""
    environment = MoleculeEnv(config(start={"smiles": ["C"]}, reward=reward), qed)
    observation, _ = environment.reset(seed=0)
    for step in range(8):
        number = int(np.flatnonzero(observation["action_mask"])[1])
        observation, given, terminated, truncated, info = environment.step(number)
        assert (terminated, truncated) == ((step == 7, False) if reward == "terminal" else (False, step == 7))
    if reward == "terminal":
        assert given == info["objective"] > 0


def test_masks_are_for_sampling() -> None:
    environment = MoleculeEnv(config(), qed)
    observation, _ = environment.reset(seed=0)
    for _ in range(50):
        action = environment.action_space.sample(mask=observation["action_mask"])
        observation, _, terminated, truncated, info = environment.step(action)
        assert not info["illegal"]
        if terminated or truncated:
            observation, _ = environment.reset()


@pytest.mark.parametrize("name", ["a.smi", "a.csv", "a.smi.gz"])
def test_starts_from_a_file(name: str, tmp_path: Path) -> None:
    text = "smiles,x\nCCO,1\nbroken(,2\nc1ccccc1,3\nC.C,4\nCCCCCCCCCCCC,5\n\n"
    opener = gzip.open if name.endswith(".gz") else open
    with opener(tmp_path / name, "wt") as file:
        file.write(text if name.endswith(".csv") else text.replace(",", " "))
    starts = load_starts(StartConfig(file=tmp_path / name), max_atoms=9, seed=0)
    assert sorted(to_smiles(starts)) == ["CCO", "c1ccccc1"]
    assert len(load_starts(StartConfig(file=tmp_path / name, draws=1), max_atoms=9, seed=0)) == 1
    with pytest.raises(HydrasurrError, match="no row of .* of at most 2 atoms"):
        load_starts(StartConfig(file=tmp_path / name), max_atoms=2, seed=0)


def test_starts_from_a_data_set_that_comes_along() -> None:
    """Of which the card knows table and column."""
    starts = load_starts(StartConfig(file="qm9_gap_5k", draws=20), max_atoms=9, seed=0)
    assert len(set(to_smiles(starts))) == 20
    with pytest.raises(HydrasurrError, match="no file 'qm9_gap_5j'.* did you mean 'qm9_gap_5k'"):
        load_starts(StartConfig(file="qm9_gap_5j"), max_atoms=9, seed=0)
    with pytest.raises(HydrasurrError, match="has no column 'smile'"):
        load_starts(StartConfig(file="datasets/esol/esol.csv", column="smile"), max_atoms=9, seed=0)


def test_starts_that_cannot_be() -> None:
    wrong = {"C.C": "several parts", "[CH3]": "radicals", "C1CC": "reads no molecule", "[H][H]": "explicit hydrogens"}
    for text, why in wrong.items():
        with pytest.raises(HydrasurrError, match=why):
            from_smiles([text], 9)
    with pytest.raises(HydrasurrError, match="10 heavy atoms, and at most 9"):
        from_smiles(["C" * 10], 9)
    with pytest.raises(HydrasurrError, match="no file 'nowhere.smi'"):
        load_starts(StartConfig(file=Path("nowhere.smi")), 9, 0)


def test_smiles_there_and_back() -> None:
    known = STARTS + HYDRIDES
    assert to_smiles(from_smiles(known, 12)) == [Chem.CanonSmiles(text) for text in known]
    molecules = walked(5, 30)
    assert [Chem.CanonSmiles(text) for text in to_smiles(molecules)] == to_smiles(molecules)


def test_graphs_are_those_of_rdkit() -> None:
    molecules = walked(4, 40)
    table = to_table(molecules)
    assert isinstance(table.validate(), GraphTable)
    names = [feature.name for feature in STATE_SCHEMA.nodes]
    for m, graph in enumerate(table):
        mol = to_rdkit(molecules, m)
        x = dict(zip(names, graph.x.T, strict=True))
        assert x["element"].tolist() == [atom.GetAtomicNum() for atom in mol.GetAtoms()]
        assert x["hydrogens"].tolist() == [atom.GetTotalNumHs() for atom in mol.GetAtoms()]
        assert x["ring"].tolist() == [atom.IsInRing() for atom in mol.GetAtoms()]
        assert graph.num_edges == mol.GetNumBonds()
        for (i, j), (order, ring) in zip(graph.edge_index.T.tolist(), graph.edge_attr.tolist(), strict=True):
            assert molecules.bond[m, i, j] == order + 1
            assert mol.GetBondBetweenAtoms(i, j).IsInRing() == bool(ring)
