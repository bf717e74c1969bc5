"""Simulations of a study: schedulers by costs, and the optimisations of a cluster."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hydrasurr.rl.scheduling.metrics import gamma
from hydrasurr.rl.study.settings import Case, StudyConfig, load_study
from hydrasurr.rl.study.simulation import (
    FULL,
    SCHEDULERS,
    Cluster,
    Measured,
    System,
    compare_schedulers,
    example_loads,
    one_learner,
    scheduled,
)

COSTS = np.random.default_rng(0).lognormal(-0.5, 1.0, 300)
MEASURED = Measured(
    rollouts=COSTS,
    learning=np.array([0.05]),
    handing=0.001,
    gradient_bytes=80_000,
    compressed=0.25,
    links=(5e-4, 1e-9),
)
STUDY = load_study(
    overrides=[
        "simulation.workers=[8,136]",
        "simulation.learners=[1,8]",
        "simulation.table_at=8",
        "simulation.updates=40",
        "simulation.tasks=6",
    ]
)


def test_planning_beats_fixed_shares() -> None:
    rows = {(row["workers"], row["two_kinds"], row["scheduler"]): row for row in compare_schedulers(STUDY, COSTS)}
    assert {key[2] for key in rows} == set(SCHEDULERS)
    assert (8, True, "static") in rows and (136, True, "static") not in rows
    for workers in (8, 136):
        efficiency = {name: rows[workers, False, name]["efficiency"] for name in SCHEDULERS}
        assert efficiency["static"] < efficiency["dynamic"] < efficiency["dynamic, guesses"]
        assert efficiency["static"] < efficiency["work stealing"]
    two = {name: rows[8, True, name] for name in SCHEDULERS}
    assert two["device-aware"]["efficiency"] > two["static"]["efficiency"]
    for row in rows.values():
        assert row["gamma"] >= 1 and 0 < row["efficiency"] <= 1 + 1e-9


@pytest.mark.parametrize("name", SCHEDULERS)
def test_all_schedulers_do_the_same_work(name: str) -> None:
    work = np.random.default_rng(3).choice(COSTS, 8 * 6).sum()
    alike, two = (scheduled(STUDY, name, COSTS, 8, kinds, seed=3) for kinds in (False, True))
    assert sum(alike.load) == pytest.approx(work)
    assert alike.efficiency == pytest.approx(work / (8 * alike.seconds))
    assert two.efficiency == pytest.approx(work / (6 * two.seconds))


def test_loads_of_figure_4() -> None:
    loads = example_loads(STUDY, COSTS)
    assert list(loads) == ["static", "dynamic", "predictive"]
    assert all(len(load) == 8 for load in loads.values())
    assert gamma(loads["static"]) > gamma(loads["predictive"])
    assert sum(loads["static"]) == pytest.approx(sum(loads["dynamic"]))


def test_a_whole_gradient_takes_longer_than_a_compressed_one() -> None:
    cluster = Cluster(STUDY, MEASURED, Case(gradient_mb=100.0))
    full, whole = cluster.communication(8, FULL), cluster.communication(8, replace(FULL, compression=False))
    beta = MEASURED.links[1] * 100 * 2**20
    assert whole - full == pytest.approx(0.75 * beta * (2 * 2 + 2 * (2 - 1) / 2))  # up and down trees, a ring of two
    assert cluster.communication(1, FULL) == 0
    flat = cluster.communication(8, replace(FULL, by_node=False))
    assert flat == pytest.approx(14 * MEASURED.links[0] + 14 / 8 * 0.25 * beta)


def test_each_part_of_the_table_is_what_it_is_without_it() -> None:
    cluster = Cluster(STUDY, MEASURED, Case())
    rows = {row["optimisation"]: row for row in cluster.optimisations()}
    assert len(rows) == 5
    for row in rows.values():
        assert row["reduction"] == pytest.approx(1 - row["with"] / row["without"])
    compression = rows["gradient compression"]
    assert compression["with"] == pytest.approx(cluster.communication(8, FULL))
    assert compression["without"] == pytest.approx(cluster.communication(8, replace(FULL, compression=False)))
    assert rows["asynchronous updates"]["rate"] > 1.5
    assert rows["asynchronous prefetch"]["rate"] > 1


def test_efficiency_is_against_one_learner() -> None:
    rows = Cluster(STUDY, MEASURED, Case()).curve(FULL)
    assert rows[0]["learners"] == 1 and rows[0]["efficiency"] == pytest.approx(1.0)
    assert rows[1]["efficiency"] == pytest.approx(rows[1]["rate"] / 8 / rows[0]["rate"])
    assert rows[1]["efficiency"] < 1


def test_few_workers_are_simulated_until_chance_is_small() -> None:
    """An actor that plays all the time takes a mean rollout for each of its own."""
    [row] = one_learner(STUDY, MEASURED, [1])
    assert row["seconds"] == pytest.approx(COSTS.mean() + MEASURED.handing, rel=0.04)
    assert row["rate"] == pytest.approx(STUDY.design.frames_a_rollout / row["seconds"], rel=0.01)


def test_a_single_learner_is_the_bound_of_many_actors() -> None:
    rows = one_learner(STUDY, MEASURED, [1, 4, 64])
    rates = [row["rate"] for row in rows]
    assert rates[0] < rates[1] < rates[2]
    assert rates[2] == pytest.approx(STUDY.design.frames_a_rollout / 0.05, rel=0.05)


def test_synchronous_learners_learn_from_all_their_actors() -> None:
    cluster = Cluster(StudyConfig(), replace(MEASURED, rollouts=np.array([1.0])), Case())
    found = cluster.run(1, System(asynchronous=False), actors=3)
    assert found["seconds"] == pytest.approx(1.0 + 0.001 + 3 * 0.05)
    assert found["rollouts"] == pytest.approx(3 / found["seconds"])
    assert found["idle"] == pytest.approx(0.001 + 3 * 0.05)  # of an actor between two rollouts
