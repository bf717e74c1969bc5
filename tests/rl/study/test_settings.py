"""Settings of a study, and the runs that follow from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hydrasurr.errors import ConfigError
from hydrasurr.rl.study.folder import StudyFolder
from hydrasurr.rl.study.settings import StudyConfig, load_study, merged
from hydrasurr.rl.study.study import planned_runs
from hydrasurr.rl.study.variants import Run, Shape, fatal_rollout


def test_defaults_are_those_of_an_empty_study() -> None:
    assert load_study() == StudyConfig()
    assert len(StudyConfig().seeds) >= 3


def test_a_file_changes_only_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    objective = {"terms": [{"property": {"type": "qed"}}]}
    path.write_text(json.dumps({"design": {"objective": objective, "frames": 999}, "seeds": [4]}))
    study = load_study(path, overrides=["design.running.disturbance.delay=0"])
    assert study.design.objective.terms[0].property.type == "qed"
    assert study.design.frames == 999 and study.seeds == (4,)
    assert study.design.learner == StudyConfig().design.learner
    assert study.design.running.disturbance.delay == 0
    assert study.design.running.disturbance.delay_spread == StudyConfig().design.running.disturbance.delay_spread
    assert load_study(path, quick=True).scaling.actors == load_study(quick=True).scaling.actors


def test_sections_of_another_type_are_replaced() -> None:
    base = {"learner": {"type": "impala", "steps": 12}, "kept": 1}
    assert merged(base, {"learner": {"type": "apex"}}) == {"learner": {"type": "apex"}, "kept": 1}
    assert merged(base, {"learner": {"steps": 3}})["learner"] == {"type": "impala", "steps": 3}
    assert base["learner"]["steps"] == 12


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["design.learner={'type': 'ppo'}".replace("'", '"')], "'ppo' is synchronous"),
        (["design.running.executor=mpi"], "take 'local'"),
        (["design.running.lanes=3"], "lanes and evaluator must be left out"),
        (["scaling.actors=[2,4]"], "1 must be the first"),
        (["scaling.learners=[4,2]"], "rising order"),
        (["seeds=[1,1]"], "seeds: one is given twice"),
        (["simulation.table_at=5"], "not among simulation.learners"),
        (['simulation.cases=[{"network":"sumit"}]'], "did you mean 'summit'"),
        (["faults.kill_at=1.5"], "faults.kill_at"),
        (['ablations.variants=["no_async"]'], "'no_dynamic' is not among ablations.variants"),
        (['design.learner={"type":"a3c"}'], "A3C has one learner"),
    ],
)
def test_what_cannot_be_studied_is_told(settings: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told.replace("[", r"\[")):
        load_study(overrides=settings)


def test_every_run_is_planned_once_and_with_what_it_is_compared_to() -> None:
    study = StudyConfig()
    runs = planned_runs(study)
    assert len(set(runs)) == len(runs) == len({run.name for run in runs})
    assert all(run.undisturbed in runs for run in runs)
    for seed in study.seeds:
        for variant in study.variants:
            assert Run(variant, Shape(2, 2), seed) in runs
        for fault in study.faults.kinds:
            assert Run("baseline", Shape(1, study.faults.actors), seed, fault) in runs


def change(variant: Any, fault: Any = None) -> dict[str, Any]:
    """The top keys in which a run differs from the baseline."""
    study = StudyConfig()
    runs = [Run("baseline", Shape(2, 2), 0), Run(variant, Shape(2, 2), 0, fault)]
    one, other = (run.config(study).model_dump() for run in runs)
    return {key: other[key] for key in other if key != "name" and one[key] != other[key]}


def test_ablations_lack_one_part() -> None:
    assert change("no_dynamic")["scheduling"]["scheduler"] == "block"
    bare = change("no_communication")["communication"]
    assert (bare["compression"], bare["hierarchical"], bare["overlap"]) == ("none", False, False)
    learner = change("no_async")["learner"]
    own = StudyConfig().design.learner
    assert (learner["type"], learner["steps"], learner["epochs"], learner["minibatches"]) == ("ppo", own.steps, 1, 2)
    assert learner["optimizer"] == own.optimizer.model_dump() and learner["decay"] == own.decay
    for variant in ("no_async", "no_dynamic", "no_communication"):
        assert len(change(variant)) == 1


def test_faults_change_what_they_do_and_nothing_else() -> None:
    assert list(change("baseline", "kill_actor")) == ["running"]
    assert change("baseline", "stall_actor")["running"]["disturbance"]["stall"] == {0: 10.0}
    assert list(change("baseline", "restart_learner")) == ["checkpoint_minutes"]


def test_an_actor_dies_in_the_midst_of_its_rollouts() -> None:
    study = load_study(overrides=["design.frames=19200", "faults.kill_at=0.4"])  # 100 rollouts
    assert study.design.frames_a_rollout == 192
    assert fatal_rollout(study, Shape(1, 4)) == 10
    assert fatal_rollout(study, Shape(8, 8)) == 2  # never the first one, in which it starts


def test_a_folder_goes_on_with_the_same_study_only(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "study")
    folder.prepare(StudyConfig())
    calls: list[int] = []

    def make() -> dict[str, Any]:
        calls.append(1)
        return {"found": len(calls)}

    assert folder.stage("one", make)["found"] == folder.stage("one", make)["found"] == 1
    folder.prepare(load_study(overrides=["index.alpha=1"]))  # which no stage depends on
    assert folder.stage("one", make)["found"] == 1
    with pytest.raises(ConfigError, match="seeds"):
        folder.prepare(load_study(overrides=["seeds=[7]"]))
    folder.prepare(load_study(overrides=["seeds=[7]"]), force=True)
    assert folder.stage("one", make)["found"] == 2
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(Exception, match="holds other files"):
        StudyFolder(tmp_path / "other").prepare(StudyConfig())
