"""Which molecules are labelled, by histories made by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from rdkit import Chem, DataStructs
from rdkit.Chem import AllChem

from hydrasurr.rl.loop.selection import Pick, SelectionConfig, diversity, optimistic, select
from tests.rl.loop.histories import LIMITED, PLAIN, history

CHAINS = ["C" * n for n in range(1, 40)]


def chosen(picks: list[Pick], why: str) -> list[int]:
    return [pick.place for pick in picks if pick.why == why]


def test_the_promising_are_the_best_by_the_cautious_worth() -> None:
    past = history(CHAINS[:5], predicted=[2.5, 2.5, 4, 2.9, 2.4], std=[0.9, 0.1, 0.01, 0.2, 0.3])
    config = SelectionConfig(count=3, promising=1, uncertain=0, diverse=0)
    assert select(past, PLAIN, 0, set(), config) == [Pick(k, "promising") for k in (1, 4, 3)]
    assert select(past, PLAIN, 0, {"CC", "CCCCC"}, config) == [Pick(k, "promising") for k in (3, 0, 2)]


def test_the_uncertain_might_be_better_than_the_promising() -> None:
    """At its best 4.0 +- 1.5 is in the range, 8 +- 2 is not; 2.5 +- 1.4 is, and less certain than 2.5 +- 0.5."""
    past = history(CHAINS[:6], [2.5, 4.0, 8.0, 2.5, 2.5, 2.5], [0.1, 1.5, 2.0, 1.4, 0.5, 0.0])
    config = SelectionConfig(count=4, promising=0.25, uncertain=0.5, diverse=0.25)
    picks = select(past, PLAIN, 0, set(), config)
    assert chosen(picks, "promising") == [0] or chosen(picks, "promising") == [5]
    assert chosen(picks, "uncertain") == [1, 3]
    alone = SelectionConfig(count=6, promising=0, uncertain=1, diverse=0)
    assert chosen(select(past, PLAIN, 0, set(), alone), "uncertain") == [2, 1, 3, 4, 0]  # 5 is certain
    near = SelectionConfig(count=1, promising=0, uncertain=1, diverse=0, pool=4)
    assert chosen(select(past, PLAIN, 0, set(), near), "uncertain") == [1]  # 2 is not among the 4 best


def test_what_is_not_uncertain_is_diverse() -> None:
    past = history(CHAINS[:8], [2.5] * 8, [0.0] * 8)
    picks = select(past, PLAIN, 0, set(), SelectionConfig(count=8, promising=0.5, uncertain=0.25, diverse=0.25))
    assert [len(chosen(picks, why)) for why in ("promising", "uncertain", "diverse")] == [4, 0, 4]


def test_the_diverse_are_not_one_scaffold() -> None:
    """Of five alkylbenzenes and three others, the three others."""
    smiles = ["c1ccccc1" + "C" * n for n in range(5)] + ["OCCO", "N#CC#N", "C1CC1S"]
    past = history(smiles, [2.5] * 8, [0.1] * 8)
    picks = select(past, PLAIN, 0, set(), SelectionConfig(count=5, promising=0.4, uncertain=0, diverse=0.6))
    assert chosen(picks, "promising") == [0, 1]
    assert sorted(chosen(picks, "diverse")) == [5, 6, 7]
    few = SelectionConfig(count=2, promising=0.5, uncertain=0, diverse=0.5, pool=1)
    assert chosen(select(past, PLAIN, 0, set(), few), "diverse") == [1]  # the pool is the two best


def test_maxmin_is_what_it_says() -> None:
    """Each diverse one is the farthest from all chosen before it, by distances computed here."""
    smiles = ["CCO", "CCN", "CCCO", "c1ccccc1O", "C1CC1C(=O)O", "N#CC", "O=C=O", "CSC", "FC(F)F", "CC(C)O"]
    past = history(smiles, [2.5] * 10, [0.1] * 10)
    picks = [
        p.place
        for p in select(past, PLAIN, 0, set(), SelectionConfig(count=6, promising=0.5, uncertain=0, diverse=0.5))
    ]
    bits = [AllChem.GetMorganFingerprintAsBitVect(Chem.MolFromSmiles(text), 2, 2048) for text in smiles]
    distance = 1 - np.array([[DataStructs.TanimotoSimilarity(a, b) for b in bits] for a in bits])
    for k in (3, 4, 5):
        others = [place for place in range(10) if place not in picks[:k]]
        nearest = distance[np.ix_(others, picks[:k])].min(1)
        assert distance[picks[k], picks[:k]].min() == pytest.approx(nearest.max())


def test_constraints_hold() -> None:
    past = history(CHAINS[:4], [2.5, 2.5, 2.5, np.nan], [0.1, 0.1, 0.3, 0.1], logp=[9.0, 3.0, 3.5, 1.0])
    config = SelectionConfig(count=4, promising=0.5, uncertain=0.25, diverse=0.25)
    assert sorted(pick.place for pick in select(past, LIMITED, 0, set(), config)) == [1, 2]
    assert select(past, LIMITED, 0, set(CHAINS), config) == []
    empty = history([], [], [], [])
    assert select(empty, LIMITED, 0, set(), config) == []


def test_optimism_is_caution_turned_round() -> None:
    values, stds = np.array([[4.0], [1.0], [2.5]]), np.array([[0.4], [0.4], [9.0]])
    hope = optimistic(PLAIN).worth(values, stds)
    assert hope == pytest.approx([np.exp(-0.6 / 0.5), np.exp(-0.6 / 0.5), 1.0])
    assert PLAIN.worth(values, stds)[0] == pytest.approx(np.exp(-1.4 / 0.5))
    assert optimistic(optimistic(LIMITED)) == LIMITED


@given(
    st.lists(st.tuples(st.floats(0, 6), st.floats(0, 3), st.floats(0, 8)), max_size=39),
    st.sets(st.sampled_from(CHAINS)),
    st.integers(1, 20),
    st.sampled_from([(0.5, 0.25, 0.25), (0, 0.5, 0.5), (1, 0, 0), (0.1, 0, 0.9)]),
)
def test_each_is_chosen_once_and_allowed(
    rows: list[tuple[float, float, float]], known: set[str], count: int, parts: tuple[float, float, float]
) -> None:
    smiles = CHAINS[: len(rows)]
    past = history(smiles, *(list(column) for column in zip(*rows)) if rows else ([], [], []))
    config = SelectionConfig(count=count, promising=parts[0], uncertain=parts[1], diverse=parts[2])
    picks = select(past, LIMITED, 0, known, config)
    places = [pick.place for pick in picks]
    assert len(set(places)) == len(places) <= count
    assert not {past.smiles[place] for place in places} & known
    assert all(past.worth.properties[place, 1] <= 4 for place in places)
    assert len(chosen(picks, "promising")) <= config.counts[0]
    assert sum(config.counts) == count and min(config.counts) >= 0
    free = [k for k in range(len(smiles)) if smiles[k] not in known and past.worth.properties[k, 1] <= 4]
    assert len(picks) == min(count, len(free))


def test_parts_are_of_a_whole() -> None:
    with pytest.raises(ValidationError, match="must add up to 1"):
        SelectionConfig(promising=0.5, uncertain=0.5, diverse=0.5)
    assert SelectionConfig(count=3, promising=0, uncertain=0.5, diverse=0.5).counts == (0, 1, 2)


def test_diversity_is_the_mean_distance_of_pairs() -> None:
    smiles = ["CCO", "CCN", "c1ccccc1", "O=C=O"]
    bits = [AllChem.GetMorganFingerprintAsBitVect(Chem.MolFromSmiles(text), 2, 2048) for text in smiles]
    expected = np.mean([1 - DataStructs.TanimotoSimilarity(a, b) for a, b in combinations(bits, 2)])
    assert diversity(smiles) == pytest.approx(expected)
    assert diversity(["C"]) == diversity([]) == 0
