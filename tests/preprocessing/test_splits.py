from __future__ import annotations

import random
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold

from preprocessing.card import SplitRule
from preprocessing.crew import Crew
from preprocessing.scan import ScaffoldCounts, make_plan, scan_table
from preprocessing.splits import BINS, UNKNOWN, ColumnPlan, RandomPlan, hash_bins, hash_texts


def _random_plan(smiles, **rule):
    rule = SplitRule(**rule)
    return RandomPlan.from_histogram(rule, np.bincount(hash_bins(smiles, rule.seed), minlength=BINS))


def _shares(plan, smiles):
    return np.bincount(plan.assign(smiles, [""] * len(smiles)), minlength=3).tolist()


def test_hashes_are_the_same_on_every_machine():
    # written down so that a change, which would give every data set another split, is noticed
    assert hash_texts(["CCO", "C"], 0).tolist() == [9503488836580776258, 10080738784866071041]
    assert hash_texts(["CCO"], 1).tolist() != [9503488836580776258]


def test_a_hundred_molecules_divide_exactly(qm9):
    smiles = sorted({s for s, _ in qm9})
    for seed in range(5):
        assert _shares(_random_plan(smiles[:100], seed=seed), smiles[:100]) == [94, 2, 4]
    assert _shares(_random_plan(smiles, fractions=(0.8, 0.1, 0.1)), smiles) == [4000, 500, 500]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 300),
    st.integers(0, 2**40),
    st.sampled_from([(0.94, 0.02, 0.04), (0.5, 0.5, 0), (0.9, 0, 0.1)]),
)
def test_fractions_are_met_to_rounding(n, seed, fractions):
    smiles = ["C" * (k + 1) for k in range(n)]
    shares = _shares(_random_plan(smiles, seed=seed, fractions=fractions), smiles)
    assert sum(shares) == n
    for share, fraction in zip(shares, fractions, strict=True):
        assert abs(share - fraction * n) <= 1


def test_equal_smiles_stay_together_whatever_their_order(qm9):
    smiles = [s for s, _ in qm9[:400]] * 3 + [f" {s} " for s, _ in qm9[:400]]
    shuffled = smiles.copy()
    random.Random(1).shuffle(shuffled)
    plan = _random_plan(shuffled)
    assert plan == _random_plan(smiles)
    split = {}
    for text, number in zip(shuffled, plan.assign(shuffled, shuffled).tolist(), strict=True):
        assert split.setdefault(text.strip(), number) == number
    assert set(split.values()) == {0, 1, 2}


def test_seeds_give_different_splits(qm9):
    smiles = [s for s, _ in qm9]
    a, b = (_random_plan(smiles, seed=seed).assign(smiles, smiles) for seed in (0, 1))
    # of two independent splits, 0.94^2 + 0.02^2 + 0.04^2 = 88.6 % agree
    assert 0.86 < (a == b).mean() < 0.91


def test_columns_say_the_split_in_any_case():
    labels = ["train", " Val ", "VALID", "validation", "Test", "dev", ""]
    assert ColumnPlan().assign(labels, labels).tolist() == [0, 1, 1, 1, 2, UNKNOWN, UNKNOWN]


def _slow_scaffold_split(smiles, seed, fractions):
    """The usual scaffold split, molecule by molecule."""
    groups = defaultdict(list)
    for k, text in enumerate(smiles):
        groups[MurckoScaffold.MurckoScaffoldSmiles(mol=Chem.MolFromSmiles(text))].append(k)
    hashes = {scaffold: int(hash_texts([scaffold], seed)[0]) for scaffold in groups}
    order = sorted(groups, key=lambda scaffold: (-len(groups[scaffold]), hashes[scaffold]))
    train, val, test = [], [], []
    for scaffold in order:
        if len(train) + len(groups[scaffold]) <= fractions[0] * len(smiles):
            train += groups[scaffold]
        elif len(train) + len(val) + len(groups[scaffold]) <= (fractions[0] + fractions[1]) * len(smiles):
            val += groups[scaffold]
        else:
            test += groups[scaffold]
    return [set(train), set(val), set(test)]


@pytest.mark.parametrize("seed", [0, 7])
def test_scaffold_split_equals_the_slow_one(tmp_path, esol, write_table, write_card, seed):
    smiles = [s for s, _ in esol]
    fractions = [0.8, 0.1, 0.1]
    write_table(tmp_path / "t.csv", ["smiles", "gap"], esol)
    card = write_card(tmp_path, split={"rule": "scaffold", "seed": seed, "fractions": fractions})
    plan = make_plan(card, scan_table(card, None, lambda rows: None), Crew(), None, lambda rows: None)
    splits = plan.assign(smiles, smiles)
    found = [set(np.flatnonzero(splits == k).tolist()) for k in range(3)]
    assert found == _slow_scaffold_split(smiles, seed, fractions)
    assert [len(part) for part in found] == pytest.approx([902, 113, 113], abs=25)


def test_scaffold_counts_merge_in_any_pieces():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 50, 1000).astype(np.uint64)
    counts = ScaffoldCounts()
    for piece in np.array_split(hashes, 13):
        counts.add(piece, np.ones(len(piece), np.int64))
    distinct, number = np.unique(hashes, return_counts=True)
    merged = counts.merged()
    np.testing.assert_array_equal(merged[0], distinct)
    np.testing.assert_array_equal(merged[1], number)
