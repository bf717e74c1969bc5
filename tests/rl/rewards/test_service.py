"""The service in the process that asks: cache, budget, history."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.rl.environment.episodes import EpisodeConfig, Episodes
from hydrasurr.rl.environment.smiles import from_smiles, to_smiles
from hydrasurr.rl.rewards.evaluator import Evaluator
from hydrasurr.rl.rewards.objective import ObjectiveConfig
from hydrasurr.rl.rewards.service import BudgetSpent, RewardService
from tests.rl.environment.walks import walked

LOGP = ObjectiveConfig.model_validate({"terms": [{"property": {"type": "logp"}}]})
CHAINS = ["C" * length for length in range(1, 13)]
REQUESTS = st.lists(st.lists(st.sampled_from(CHAINS), max_size=6), max_size=10)


def values_of(smiles: list[str]) -> list[float]:
    return Evaluator(LOGP)(smiles).value.tolist()


@given(REQUESTS)
def test_remembering_changes_nothing(requests: list[list[str]]) -> None:
    service = RewardService(LOGP)
    for smiles in requests:
        assert service.ask(smiles).tolist() == values_of(smiles)
    asked = [text for smiles in requests for text in smiles]
    history, told = service.history(), service.summary()
    assert history.smiles == tuple(dict.fromkeys(asked))
    assert history.worth.value.tolist() == values_of(list(history.smiles))
    assert (told["asked"], told["evaluated"], told["calls"]) == (len(asked), len(history), len(requests))
    assert told["hit_rate"] == (1 - len(history) / len(asked) if asked else 0)


@given(REQUESTS, st.integers(0, 8))
def test_the_budget_is_spent_to_the_last_and_no_further(requests: list[list[str]], budget: int) -> None:
    service, known = RewardService(LOGP, budget), dict[str, None]()
    for smiles in requests:
        for text in smiles:
            if len(known) < budget:
                known[text] = None
        if set(smiles) <= set(known):
            assert service.ask(smiles).tolist() == values_of(smiles)
        else:
            with pytest.raises(BudgetSpent, match=f"all {budget} evaluations of the budget are spent"):
                service.ask(smiles)
        assert service.history().smiles == tuple(known)
    assert service.statistics.evaluated == len(known) <= budget


@given(REQUESTS, st.none() | st.integers(0, 8))
def test_several_requests_at_once_are_as_one_after_another(requests: list[list[str]], budget: int | None) -> None:
    together, alone = RewardService(LOGP, budget), RewardService(LOGP, budget)
    for smiles, answer in zip(requests, together.answer(requests), strict=True):
        if isinstance(answer, BudgetSpent):
            with pytest.raises(BudgetSpent):
                alone.ask(smiles)
        else:
            assert answer.tolist() == alone.ask(smiles).tolist()
    assert together.history().smiles == alone.history().smiles
    assert together.statistics.batches <= 1


@given(REQUESTS, REQUESTS)
def test_a_history_can_be_gone_on_from(before: list[list[str]], after: list[list[str]]) -> None:
    first = RewardService(LOGP, 20)
    first.answer(before)
    second = RewardService(LOGP, 20, first.history())
    for service in (first, second):
        service.answer(after)
    one, other = first.history(), second.history()
    assert one.smiles == other.smiles
    np.testing.assert_array_equal(one.worth.value, other.worth.value)
    np.testing.assert_array_equal(one.worth.properties, other.worth.properties)


@given(st.lists(st.tuples(st.booleans(), REQUESTS), max_size=6))
def test_news_make_another_service_know_the_same(turns: list[tuple[bool, list[list[str]]]]) -> None:
    """Whenever they are told, and whatever the other one has evaluated itself."""
    far, near = RewardService(LOGP), RewardService(LOGP)
    told: list[str] = []
    for tells, requests in turns:
        (far if tells else near).answer(requests)
        far.history()
        if tells:
            news = far.news()
            told += news.smiles
            assert news.worth.value.tolist() == values_of(list(news.smiles))
            assert not near.adopt(news)
    assert told == list(far.history().smiles) and len(far.news()) == 0
    whole = near.history()
    assert set(told) <= set(whole.smiles) and len(set(whole.smiles)) == len(whole)
    assert whole.worth.value.tolist() == values_of(list(whole.smiles))


def test_what_was_adopted_counts() -> None:
    far, near = RewardService(LOGP), RewardService(LOGP, budget=4)
    far.ask(["C", "CC", "CCC"])
    near.ask(["C"])
    assert not near.adopt(far.news())
    far.ask(["CCCC", "CCCCC"])
    assert near.adopt(far.news())
    assert near.history().smiles == ("C", "CC", "CCC", "CCCC", "CCCCC")
    near.ask(["CCCCC"])
    with pytest.raises(BudgetSpent):
        near.ask(["N"])
    assert len(RewardService(LOGP, history=far.history()).news()) == 0


def test_the_best_molecules() -> None:
    service = RewardService(LOGP)
    service.ask(["CC", "CCCC", "C", "CCC"])
    service.ask(["CCCCC"])
    best = service.history().top(2)
    assert best.smiles == ("CCCCC", "CCCC")
    assert best.worth.value.tolist() == values_of(["CCCCC", "CCCC"])
    assert service.history().find(["C", "CC"]).worth.properties[:, 0].tolist() == values_of(["C", "CC"])
    with pytest.raises(KeyError, match="CCN"):
        service.history().find(["CCN"])
    assert len(service.history().top(100)) == 5


def test_of_equal_molecules_the_earlier_is_better() -> None:
    """Short chains are worth 1, others 0."""
    goal = {"type": "range", "low": -100, "high": 100, "tolerance": 1}
    short = {"property": {"type": "logp"}, "at_most": values_of(["C" * 30])[0]}
    config = {"terms": [{"property": {"type": "logp"}, "goal": goal}], "constraints": [short]}
    service = RewardService(ObjectiveConfig.model_validate(config))
    mixed = ["C" * length for k in range(1, 31) for length in (k + 30, k)]
    assert service.ask(mixed).tolist() == [0, 1] * 30
    assert list(service.history().top(60).smiles) == mixed[1::2] + mixed[::2]


def test_molecules_that_were_built(single: Path) -> None:
    """The worth of molecules as arrays is that of their SMILES, and however they were built they are known."""
    config = {
        "terms": [{"property": {"type": "surrogate", "model": single, "target": "gap"}}, {"property": {"type": "qed"}}]
    }
    service, built = RewardService(ObjectiveConfig.model_validate(config)), walked(seed=5, steps=6)
    values, smiles = service(built), to_smiles(built)
    np.testing.assert_array_equal(service.ask(smiles), values)
    np.testing.assert_allclose(Evaluator(ObjectiveConfig.model_validate(config))(smiles).value, values, rtol=1e-6)
    evaluated = service.statistics.evaluated
    service(from_smiles([smiles[0]], built.max_atoms))
    assert service.statistics.evaluated == evaluated == len(set(smiles))


def test_episodes_take_it_as_their_objective() -> None:
    service = RewardService(LOGP)
    config = EpisodeConfig.model_validate({"rules": {"max_atoms": 6}, "max_steps": 3, "reward": "dense"})
    episodes = Episodes(config, service, 4)
    episodes.reset()
    before = values_of(to_smiles(episodes.molecules))
    legal = episodes.legal()
    step = episodes.step(legal.number[legal.offset[:-1] + 1])
    after = values_of(to_smiles(episodes.molecules))
    np.testing.assert_allclose(step.reward, np.array(after) - before)


def test_nothing_is_lost_when_an_evaluation_fails() -> None:
    service = RewardService(LOGP, budget=3)
    service.ask(["C"])
    with pytest.raises(TypeError):
        service.ask(["CC", 7])
    assert service.history().smiles == ("C",)
    assert service.ask(["C", "CC", "CCC"]).tolist() == values_of(["C", "CC", "CCC"])
