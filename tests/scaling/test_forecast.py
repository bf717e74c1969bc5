"""From known measurements to scaling, fits and forecasts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.scaling.analysis import Question, analyse
from hydrasurr.scaling.forecast import StepCost, expected_maximum
from hydrasurr.scaling.models import MODELS
from hydrasurr.scaling.network import PRESETS
from hydrasurr.scaling.record import Estimate, Point, RankTimes
from tests.scaling.synthetic import ALPHA, BETA, FIXED, GRADIENT, NODES, PER_GRAPH, measurements

COUNTS = [1, 2, 4, 8, 64, 1024]


def _step(graphs: float, ranks: int) -> float:
    return FIXED + PER_GRAPH * graphs + float(MODELS["ring"].seconds(ranks, GRADIENT, ALPHA, BETA))


def test_everything_is_recovered_from_exact_measurements() -> None:
    analysis = analyse(measurements(), Question(None, ranks=COUNTS))
    assert analysis.all_reduce is not None and analysis.all_reduce.best == "ring"
    assert analysis.all_reduce.distinguishable
    assert analysis.all_reduce.fits["ring"].values == pytest.approx([ALPHA, BETA])
    for row in analysis.strong:
        assert row.step.value == pytest.approx(_step(128 / row.ranks, row.ranks))
        assert row.speedup.value == pytest.approx(_step(128, 1) / row.step.value)
        assert row.efficiency.value == pytest.approx(row.speedup.value / row.ranks)
    for row in analysis.weak:
        assert row.efficiency.value == pytest.approx(_step(128, 1) / _step(128, row.ranks))
    # Nothing overlaps in these data, so Eq. 8 and Eq. 11 hold as they are printed.
    for row in (*analysis.strong, *analysis.weak):
        assert row.efficiency_eq8 == pytest.approx(row.efficiency.value)
        assert row.iteration["sum"] == pytest.approx(row.iteration["measured"])
    for row in analysis.forecast.rows:
        assert row.weak_step.value == pytest.approx(_step(128, row.ranks))
        if row.strong_step is not None:
            assert row.strong_step.value == pytest.approx(_step(128 / row.ranks, row.ranks))
        steps = max(math.ceil(100_000 // row.ranks / 128), 1)
        assert row.epoch.value == pytest.approx(steps * _step(128, row.ranks))


def test_noisy_measurements_give_bands_that_hold_the_truth() -> None:
    """Of 40 forecasts the 90 % band holds the truth in most."""
    hits = []
    for seed in range(40):
        rows = analyse(measurements(noise=0.03, seed=seed), Question(None, "ring", COUNTS)).forecast.rows
        hits += [row.weak_step.low <= _step(128, row.ranks) <= row.weak_step.high for row in rows]
    assert np.mean(hits) > 0.75


@pytest.mark.parametrize("network", [None, *PRESETS.values()], ids=["measured", *PRESETS])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_the_forecast_of_one_rank_is_what_was_measured(network, noise: float) -> None:
    analysis = analyse(measurements(noise=noise), Question(network, ranks=COUNTS))
    one = analysis.forecast.rows[0]
    assert one.weak_step.value == pytest.approx(analysis.weak[0].step.value)
    assert one.strong_step is not None and one.strong_step.value == pytest.approx(analysis.strong[0].step.value)
    assert (one.weak_efficiency.value, one.weak_efficiency.low, one.epoch_speedup.high) == (1, 1, 1)
    assert one.all_reduce.value == 0


@pytest.mark.parametrize("network", PRESETS.values(), ids=PRESETS)
def test_forecasts_are_plausible(network) -> None:
    rows = analyse(measurements(noise=0.02), Question(network, ranks=COUNTS)).forecast.rows
    for row, more in zip(rows[1:], rows[2:], strict=False):
        assert row.all_reduce.low < row.all_reduce.value < row.all_reduce.high < 1
        assert row.weak_step.low < row.weak_step.value < row.weak_step.high
        assert 1 >= row.weak_efficiency.value > more.weak_efficiency.value > 0.3
        assert row.all_reduce.value < more.all_reduce.value
    assert [row.strong_step is None for row in rows] == [count > 128 for count in COUNTS]


def test_a_larger_global_batch_reaches_further() -> None:
    question = Question(PRESETS["perlmutter"], ranks=COUNTS, step_graphs=16_384)
    rows = analyse(measurements(), question).forecast.rows
    assert all(row.strong_step is not None for row in rows)
    assert rows[0].strong_step.value == pytest.approx(FIXED + PER_GRAPH * 16_384)


def test_the_computation_can_be_stated() -> None:
    question = Question(PRESETS["dgx-h100"], ranks=COUNTS, compute_seconds=4e-3, fixed_seconds=3e-3)
    forecast = analyse(measurements(), question).forecast
    assert forecast.as_dict()["computation"]["source"] == "stated, not measured here"
    assert forecast.rows[0].weak_step.value == pytest.approx(4e-3)
    assert forecast.cost.per_graph.value == pytest.approx(1e-3 / 128)
    same_part = analyse(measurements(), replace(question, fixed_seconds=None)).forecast.cost
    assert same_part.per_graph.value * 128 / same_part.seconds.value == pytest.approx(
        PER_GRAPH * 128 / (FIXED + PER_GRAPH * 128)
    )


def test_one_rank_is_enough_for_a_forecast_with_a_preset() -> None:
    analysis = analyse(measurements(ranks=()), Question(PRESETS["summit"], ranks=COUNTS))
    assert analysis.all_reduce is None and analysis.speed_up is None
    assert len(analysis.forecast.rows) == len(COUNTS)


def test_eq_9_is_forecast_only_where_it_is_determined() -> None:
    assert analyse(measurements(ranks=(2,)), Question(PRESETS["summit"], ranks=COUNTS)).eq9_forecast() == {}
    analysis = analyse(measurements(), Question(PRESETS["summit"], ranks=COUNTS))
    eq9 = analysis.eq9_forecast()
    assert list(eq9) == [1, 2, 4, 8, 64]
    assert eq9[1].value == pytest.approx(1)
    for row in analysis.strong:
        assert eq9[row.ranks].value == pytest.approx(row.speedup.value, rel=0.15)


@pytest.mark.parametrize(
    ("count", "exact"), [(1, 0.0), (2, 1 / math.sqrt(math.pi)), (3, 1.5 / math.sqrt(math.pi)), (100, 2.50759)]
)
def test_expected_maximum_of_normals(count: int, exact: float) -> None:
    assert expected_maximum(count) == pytest.approx(exact, abs=1e-4)


def _point(nodes: list[list[int]], seconds: list[list[float]]) -> Point:
    """Two ranks with one block each."""
    ranks = [
        RankTimes([s], [n], {"load": [0.0], "forward": [0.2], "backward": [0.3], "optimizer": [0.1]})
        for n, s in zip(nodes, seconds, strict=True)
    ]
    return Point("weak", len(nodes), 4, ranks, ranks)


def test_imbalance_and_waiting_by_hand() -> None:
    """Eq. 4, 5 and 11 with two ranks and two steps."""
    point = _point([[10, 30], [20, 30]], [[1.0, 4.0], [2.0, 2.0]])
    sigma, gamma = point.imbalance()
    assert sigma == pytest.approx((5 + 0) / 2)
    assert gamma == pytest.approx((20 / 15 + 1) / 2)
    iteration = point.iteration(0.5)
    assert iteration["computation"] == pytest.approx((1 + 2) / 2)
    assert iteration["wait"] == pytest.approx((1 + 2) / 2)
    assert iteration["sum"] == pytest.approx(1.5 + 0.5 + 1.5)
    assert iteration["measured"] == pytest.approx(2.5)  # the slower rank of the block


@given(seed=st.integers(0, 1000))
def test_the_breakdown_adds_up_to_the_step(seed: int) -> None:
    point = measurements(noise=0.02, seed=seed).points[-1]
    phases = point.phases()
    parts = sum(phases[name]["mean"] for name in ("load", "forward", "backward", "all_reduce", "optimizer", "other"))
    whole = np.mean([np.median(np.mean(rank.seconds, axis=1)) for rank in point.together])
    assert parts == pytest.approx(whole)
    assert phases["all_reduce"]["mean"] == pytest.approx(
        phases["backward_with_all_reduce"]["mean"] - phases["backward_alone"]["mean"]
    )


def test_larger_molecules_make_others_wait() -> None:
    """The spread of a step is that of its nodes, for the part of the step that grows with them."""
    generator = np.random.default_rng(0)
    nodes = (NODES * 128 + 50 * generator.standard_normal((5, 400))).round().astype(int).tolist()
    measured = measurements()
    whole = replace(measured.singles[0].alone[0], nodes=nodes)
    singles = [replace(measured.singles[0], alone=[whole]), *measured.singles[1:]]
    cost = StepCost.measured(singles)
    assert cost.spread == pytest.approx(PER_GRAPH * 128 * 50 / (NODES * 128), rel=0.05)
    assert StepCost.measured(measured.singles).spread == 0


def test_estimates() -> None:
    estimate = Estimate.of([1.0, 2.0, 3.0, 4.0, 100.0])
    assert estimate.value == 3
    assert Estimate.of([5.0]).error == 0
    ratio = Estimate(6.0, 0.6).over(Estimate(3.0, 0.3))
    assert (ratio.value, ratio.error) == pytest.approx((2.0, 2.0 * math.hypot(0.1, 0.1)))
    # The error of a median, against many medians.
    samples = np.random.default_rng(0).standard_normal((4000, 25))
    stated = np.mean([Estimate.of(row).error for row in samples])
    assert stated == pytest.approx(np.median(samples, axis=1).std(), rel=0.05)
