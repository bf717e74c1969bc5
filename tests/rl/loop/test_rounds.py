"""Numbers of a round, against formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from hydrasurr.rl.loop.comparison import Comparison, Molecule, Wanted, compare
from hydrasurr.rl.loop.rounds import (
    Proposals,
    chosen_molecules,
    comparisons,
    flat,
    label_facts,
    proposals,
    with_truth,
)
from hydrasurr.rl.loop.selection import Pick
from tests.rl.loop.histories import history
from tests.rl.loop.labels import made_up

WANTED = Wanted(low=2, high=3)


def molecule(predicted: float, std: float, true: float | None, why: str = "promising") -> Molecule:
    return Molecule("C", why, 0.5, predicted, std, true)


def test_a_surrogate_that_is_hacked() -> None:
    """It says all are in the range; one is, one cannot be labelled."""
    found = compare([molecule(2.5, 0.1, 4.5), molecule(2.4, 0.5, 2.0), molecule(2.6, 9, None)], WANTED)
    assert found == Comparison(
        3, 2, pytest.approx(1.2), pytest.approx(-0.8), pytest.approx(1.0), 0.5, 1.0, pytest.approx(1 / 3)
    )


def test_of_nothing_nothing_is_told() -> None:
    assert compare([], WANTED) == Comparison(0, 0, None, None, None, None, None, None)
    assert compare([molecule(2.5, 1, None)], WANTED) == Comparison(1, 0, None, None, None, None, 1.0, 0.0)
    assert compare([molecule(2.5, 1, 2.5)] * 3, WANTED).rank is None


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(0, 3), st.floats(-9, 9)), min_size=2, max_size=30))
def test_metrics_are_those_of_the_textbook(rows: list[tuple[float, float, float]]) -> None:
    found = compare([molecule(*row) for row in rows], WANTED)
    predicted, std, true = np.array(rows).T
    assert found.mae == pytest.approx(np.abs(predicted - true).mean())
    assert found.bias == pytest.approx((predicted - true).mean(), abs=1e-9)
    assert found.covered == pytest.approx(np.mean([abs(p - t) <= 2 * s for p, s, t in rows]))
    assert found.hits == pytest.approx(sum(2 <= t <= 3 for _, _, t in rows) / len(rows))
    if len(set(predicted)) > 1 and len(set(true)) > 1:
        assert found.rank == pytest.approx(spearmanr(predicted, true).statistic, abs=1e-9)


def test_what_an_agent_proposed() -> None:
    past = history(["CCO", "OCC", "C[C@H](N)O", "CC(N)O", "nonsense", "C"], [2.5] * 6, [0.1] * 6)
    found = proposals(past, known={flat("C[C@@H](O)N"), "CC"})
    assert found.count == 6
    assert found.validity == pytest.approx(5 / 6)
    assert found.uniqueness == pytest.approx(3 / 5)  # CCO twice, and the stereoisomers are one
    assert found.novelty == pytest.approx(2 / 3)
    assert found.best == pytest.approx(1.0) and 0 < found.diversity < 1
    assert proposals(history([], [], []), set()) == Proposals(0, 0, 0, 0, 0, 0)


def test_picks_meet_the_truth() -> None:
    past = history(["C", "CC", "CCC"], [2.5, 2.6, 9.0], [0.1, 0.2, 0.3])
    chosen = chosen_molecules(past, [Pick(1, "promising"), Pick(0, "promising"), Pick(2, "uncertain")], 0)
    assert [(m.smiles, m.why, m.predicted, m.std) for m in chosen] == [
        ("CC", "promising", 2.6, 0.2),
        ("C", "promising", 2.5, 0.1),
        ("CCC", "uncertain", 9.0, 0.3),
    ]
    labels = made_up({"C": 2.1, "CCC": 7.0, "CC": "no embedding: none"})
    known = with_truth(chosen, labels, "gap")
    assert [(m.true, m.error) for m in known] == [(None, "no embedding: none"), (2.1, ""), (7.0, "")]
    compared = comparisons(known, WANTED)
    assert compared.keys() == {"promising", "uncertain", "all"}
    assert compared["promising"]["hits"] == 0.5 and compared["promising"]["labelled"] == 1
    assert compared["all"]["mae"] == pytest.approx((0.4 + 2.0) / 2)


def test_failures_are_told_by_reason() -> None:
    facts = label_facts(made_up({"C": 1.0, "CC": "fell apart: a", "CCC": "fell apart: b", "N": "open shell: 1"}))
    assert facts["asked"] == 4 and facts["labelled"] == 1 and facts["load"] is None
    assert facts["reasons"] == {"fell apart": 2, "open shell": 1}
    assert facts["failures"]["CCC"] == "fell apart: b"
    assert facts["worker_seconds"] == pytest.approx(2.0)
