"""Whole design runs with real actors: equal whoever plays, resumed as if undisturbed, and with each learner."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.files import read_records
from hydrasurr.rl.executors.local import LocalExecutor
from hydrasurr.rl.rewards.service import RewardService
from hydrasurr.rl.running.config import DesignConfig
from hydrasurr.rl.running.folder import DesignFolder
from hydrasurr.rl.running.report import write_report
from hydrasurr.rl.running.run import run
from hydrasurr.strict import read_json
from tests.rl.running.designs import BASE, LEARNERS, assert_same, design, learnt, raw


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> DesignFolder:
    """PPO with two actors that nobody disturbs."""
    return design(tmp_path_factory.mktemp("undisturbed") / "run")


def test_what_a_run_tells(undisturbed: DesignFolder) -> None:
    records = read_records(undisturbed.metrics)
    assert [record["update"] for record in records] == [1, 2, 3, 4]
    assert [record["total_frames"] for record in records] == [96, 192, 288, 384] and BASE["frames"] == 384
    for record in records:
        assert record["frames"] == 96 and record["rollouts"] == 2
        assert record["lag"] == {"min": 0, "mean": 0, "max": 0, "discarded": 0}
        assert 0 < record["seconds"]["learn"] + record["seconds"]["wait"] <= record["seconds"]["all"]
        assert record["actor_seconds"].keys() == {"load", "play", "reward", "digest"}
        assert len(record["load"]["busy"]) == 2
    with undisturbed.molecules.open() as file:
        rows = list(csv.DictReader(file))
    results = read_json(undisturbed.results)
    smiles = [row["smiles"] for row in rows]
    assert len(smiles) == len(set(smiles)) == results["molecules"] == records[-1]["evaluations"]
    expected = RewardService(DesignConfig.model_validate(BASE).objective).ask(smiles)
    np.testing.assert_allclose([float(row["worth"]) for row in rows], expected, rtol=1e-5)
    best = sorted(expected, reverse=True)
    assert results["best"] == best[0]
    assert results["top_10_mean"] == pytest.approx(np.mean(best[:10])) == pytest.approx(records[-1]["best"])
    assert [row["worth"] for row in results["top"]] == best[:100]


@pytest.mark.parametrize(
    "running",
    [{"actors": 1}, {"actors": 3}, {"disturbance": {"kill": {"0": 2, "1": 3}}}],
    ids=["one", "three", "killed"],
)
def test_it_does_not_matter_who_plays(undisturbed: DesignFolder, tmp_path: Path, running: dict[str, Any]) -> None:
    folder = design(tmp_path / "run", running=running)
    assert_same(undisturbed, folder)
    if "disturbance" in running:
        assert sorted(mark.name for mark in folder.marks.iterdir()) == ["killed-0", "killed-1"]
        assert sum(seconds > 0 for seconds in read_records(folder.metrics)[-1]["load"]["vain"]) == 2


def test_an_actor_in_the_place_of_a_dead_one_has_no_weights_yet(
    undisturbed: DesignFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where they come with requests: the only actor plays the rollout again with those that the dead one had."""
    monkeypatch.setattr(LocalExecutor, "shares_memory", False)
    folder = design(tmp_path / "run", running={"actors": 1, "disturbance": {"kill": {"0": 3}}})
    assert [mark.name for mark in folder.marks.iterdir()] == ["killed-0"]
    assert_same(undisturbed, folder)


def test_a_resumed_run_is_an_undisturbed_one(undisturbed: DesignFolder, tmp_path: Path) -> None:
    folder = design(tmp_path / "run", frames=192)
    assert len(learnt(folder)) == 2
    assert_same(undisturbed, design(tmp_path / "run", resume=True))
    with pytest.raises(HydrasurrError, match="holds a run already: --resume"):
        design(tmp_path / "run")
    with pytest.raises(ConfigError, match=r"running lanes: 2 became 3"):
        design(tmp_path / "run", resume=True, running={"lanes": 3})


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 3)])
def test_a_resumed_run_has_as_many_lanes_whoever_plays_them(tmp_path: Path, before: int, after: int) -> None:
    """Where they are not given there are as many as there were actors at first."""
    running = {"lanes": None, "actors": before}
    whole = design(tmp_path / "whole", running=running)
    design(tmp_path / "run", running=running, frames=BASE["frames"] // 2)
    resumed = design(tmp_path / "run", resume=True, running={**running, "actors": after})
    assert_same(whole, resumed)
    assert all(record["lag"]["max"] == 0 for record in read_records(resumed.metrics))


@pytest.mark.parametrize("name", LEARNERS)
def test_each_learner(name: str, tmp_path: Path) -> None:
    folder = design(tmp_path / "run", learner=LEARNERS[name], checkpoint_minutes=0)
    results = read_json(folder.results)
    records = read_records(folder.metrics)
    assert results["frames"] == sum(record["frames"] for record in records) >= BASE["frames"]
    assert all(np.isfinite(list(record["loss"].values())).all() for record in records)
    state = folder.load_part(0, 1)
    assert sum(lane["rollouts"] for lane in state["lanes"]) * 48 == results["frames"]
    if name == "apex":
        assert state["learner"]["replay"]["added"] == results["frames"]


@pytest.mark.parametrize("name", ["impala", "apex", "a3c"])
def test_asynchronous_learners_go_on(name: str, tmp_path: Path) -> None:
    """Nothing is counted twice, and what was learnt is still there."""
    first = design(tmp_path / "run", learner=LEARNERS[name])
    before = first.load_part(0, 1)
    again = design(tmp_path / "run", resume=True, learner=LEARNERS[name], frames=2 * BASE["frames"])
    after = again.load_part(0, 1)
    assert after["learner"]["version"] > before["learner"]["version"]
    assert sum(lane["rollouts"] for lane in after["lanes"]) * 48 == after["frames"] >= 2 * BASE["frames"]
    records = read_records(again.metrics)
    assert sum(record["frames"] for record in records) == after["frames"]
    assert [r["update"] for r in records] == sorted({r["update"] for r in records})
    assert sum(record["updates"] for record in records) == after["learner"]["version"]
    if name == "apex":
        assert after["learner"]["replay"]["added"] == after["frames"]
        kept, old = (s["learner"]["replay"]["kept"]["action"] for s in (after, before))
        assert torch.equal(kept[: len(old)], old)


def test_a_budget_ends_a_run(tmp_path: Path) -> None:
    folder = design(tmp_path / "run", budget=60, frames=100_000, learner=LEARNERS["impala"])
    results = read_json(folder.results)
    assert results["molecules"] == 60 and 0 < results["frames"] < 100_000


def test_frames_count_that_led_to_no_update(tmp_path: Path) -> None:
    """The budget is spent while the replay of Ape-X warms up."""
    learner = LEARNERS["apex"] | {"warm_up": 10**6}
    folder = design(tmp_path / "run", budget=60, frames=100_000, learner=learner)
    records, state = read_records(folder.metrics), folder.load_part(0, 1)
    assert sum(record["updates"] for record in records) == 0
    assert sum(record["frames"] for record in records) == read_json(folder.results)["frames"] == state["frames"] > 0
    assert state["frames"] == state["own_frames"]
    assert write_report(folder) == folder.report  # without a loss to show


def test_an_evaluator_plays_beside(tmp_path: Path) -> None:
    folder = design(tmp_path / "run", running={"evaluator": True}, evaluation={"every": 2, "molecules": 8})
    records = read_records(folder.evaluations)
    assert [record["update"] for record in records] == [2, 4]
    assert all(0 < record["objective"] <= record["best"] <= 1 and record["length"] <= 5 for record in records)


def test_stopped_by_a_time_limit(undisturbed: DesignFolder, tmp_path: Path) -> None:
    config, folder = DesignConfig.model_validate(raw()), DesignFolder(tmp_path / "run")
    assert run(config, folder, time_limit=0.0) == {}
    assert_same(undisturbed, design(tmp_path / "run", resume=True))


def test_an_actor_that_always_dies_is_told(tmp_path: Path) -> None:
    impossible = {"environment": {**BASE["environment"], "start": {"smiles": ["CCCCCCC"]}}}
    with pytest.raises(HydrasurrError, match=r"lane \d, rollout 0 failed: .*at most 6 are allowed"):
        design(tmp_path / "run", **impossible)


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"running": {"learners": 2}}, "running.learners is for the executors mpi and torchrun"),
        ({"running": {"ahead": 1}}, "no rollout can be played ahead"),
        ({"learner": {"type": "a3c"}, "running": {"executor": "mpi", "learners": 2}}, "A3C has one server"),
        ({"learner": {"type": "ppo2"}}, "ppo2"),
    ],
)
def test_configurations_that_cannot_be(sections: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        DesignConfig.model_validate(raw(**sections))


@pytest.mark.parametrize("executor", ["mpi", "torchrun"])
def test_ranks_that_nobody_started(executor: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="this is one process: start it by"):
        design(tmp_path / "run", running={"executor": executor})
