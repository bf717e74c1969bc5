"""Numbers of the report from findings of stages, worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from hydrasurr.rl.study.settings import StudyConfig, load_study
from hydrasurr.rl.study.study import planned_runs
from hydrasurr.rl.study.summary import Summary, actor_seconds, iteration, spread, usage
from hydrasurr.rl.study.variants import Run, Shape


def facts(
    rate: float = 100.0, busy: tuple[float, ...] = (9.0, 7.0), rise: float = 0.01, **changes: Any
) -> dict[str, Any]:
    """Of a run: 10 s were measured, with 5 updates; the objective rises linearly over its 1,000 frames."""
    frames = [100.0 * k for k in range(1, 11)]
    return {
        "rate": rate,
        "seconds": 1000 / rate,
        "window": {"seconds": 10.0, "updates": 5, "rollouts": 20},
        "learner": {"computation": 3.0, "communication": 1.0, "wait": 5.0, "step": 1.0},
        "actors": {"busy": list(busy), "weights": 0.5},
        "load": {"sigma": 1.0, "gamma": 9 / 8},
        "lag": 1.0,
        "vain": 0.0,
        "bytes": {"local": 0.0, "global": 1000.0},
        "loss": {"name": "value_loss", "variance": 0.5, "mean": 1.0},
        "curve": {
            "frames": frames,
            "seconds": [x / rate for x in frames],
            "objective": [rise * x for x in frames],
            "episodes": [4.0] * 10,
        },
        "times": {"seconds": [0.0, 950 / rate], "frames": [50.0, 1000.0]},
        "rewards": [1.0, 3.0],
        "counted": {"once": True},
        "cpu_seconds": 12.0,
        "wall_seconds": 20.0,
        "stage_seconds": 21.0,
        **changes,
    }


def summary(study: StudyConfig, **changed: dict[str, Any]) -> Summary:
    """All runs alike, but for those that are given by name."""
    found = {run.name: facts(recovery=2.0, frames_recorded=500, frames_saved=440) for run in planned_runs(study)}
    return Summary(study, found | {name.replace("__", "-"): run for name, run in changed.items()}, {"cores": 2})


def test_an_iteration_is_split_by_the_learner() -> None:
    found = iteration([facts()])
    assert found["computation"] == pytest.approx(0.6) and found["communication"] == pytest.approx(0.2)
    assert found["measured"] == pytest.approx(2.0)
    # The learner waits 6 of 10 s, longer than the actors with 1 and 3.
    assert found["longest_wait"] == pytest.approx(1.2) and found["eq11"] == pytest.approx(2.0)


def test_eq11_is_of_the_process_that_waits_longest() -> None:
    found = iteration([facts(busy=(9.0, 2.0))])
    # The second actor: 2 s of 10 busy, of which 0.5 for weights, waits 8.
    assert found["longest_wait"] == pytest.approx(1.6)
    assert found["eq11"] == pytest.approx((1.5 + 0.5 + 8.0) / 5)


def test_use_of_processes_and_cores() -> None:
    found = usage([facts()], cores=2)
    assert found["utilisation"] == pytest.approx((3 + 9 + 7) / 30)
    assert found["system_efficiency"] == pytest.approx(19 / (30 + 11))
    assert found["cores_busy"] == pytest.approx(12 / 40)


def test_seconds_of_actors_are_those_of_all_frames() -> None:
    computation, communication = actor_seconds(facts(rate=50.0))  # 20 s for all frames, twice what was measured
    assert computation == pytest.approx(2 * 7.5) and communication == pytest.approx(2 * 1.5)


def test_final_rewards_are_pooled_and_their_error_is_over_seeds() -> None:
    found = spread([[1.0, 3.0], [4.0, 4.0]])
    assert found["mean"] == 3.0 and found["error"] == pytest.approx(1.0)
    assert found["std"] == pytest.approx(1.5**0.5)
    assert spread([[1.0, 3.0]])["error"] == 0


def test_speed_up_and_efficiencies() -> None:
    study = load_study(overrides=["seeds=[0]", "scaling.actors=[1,4]"])
    numbers = summary(study, **{"baseline__1x4__seed0": facts(rate=300.0)})
    one, four, _ = numbers.points
    assert (one["speedup"]["value"], one["efficiency"]["value"]) == (1.0, 1.0)
    assert four["speedup"]["value"] == pytest.approx(3.0) and four["efficiency"]["value"] == pytest.approx(0.75)
    # T_1 = 10 s, and of the 10/3 s of the run actors compute 7.5/10 and communicate 1.5/10
    assert four["efficiency_eq8"] == pytest.approx(10 / (4 * (10 / 3) * 0.9))
    assert numbers.eq9 is not None and not numbers.eq9.fit.determined and numbers.eq9_bands([128]) is None
    assert numbers.eq9([1, 4], [0.0, four["sigma_load"]]) == pytest.approx([1.0, 3.0])


def test_speed_ups_compare_runs_of_one_seed() -> None:
    """A machine that was twice as fast with the second seed."""
    study = load_study(overrides=["seeds=[0,1]", "scaling.actors=[1,4]"])
    fast = {"baseline__1x1__seed1": facts(rate=200.0), "baseline__1x4__seed1": facts(rate=600.0)}
    numbers = summary(study, **fast, **{"baseline__1x4__seed0": facts(rate=300.0)})
    _, four, _ = numbers.points
    assert four["speedup"] == {"value": pytest.approx(3.0), "error": pytest.approx(0.0)}
    assert four["rate"]["error"] > 100
    assert four["efficiency_eq8"] == pytest.approx(10 / (4 * (10 / 3) * 0.9))


def test_eq9_is_forecast_where_the_points_determine_it() -> None:
    study = load_study(overrides=["scaling.actors=[1,2,4,8,16]"])
    changed = {}
    for actors in (1, 2, 4, 8, 16):
        for seed, noise in enumerate((0.99, 1.0, 1.01)):
            seconds = 10 / actors + 0.02 * (actors - 1)
            run = facts(rate=noise * 1000 / seconds, load={"sigma": 0.1 * actors**0.5, "gamma": 1.1})
            changed[Run("baseline", Shape(1, actors), seed).name.replace("-", "__")] = run
    numbers = summary(study, **changed)
    assert numbers.eq9.fit.determined
    [band] = numbers.eq9_bands([128])
    assert band.low <= band.value <= band.high
    assert band.value == pytest.approx(10 / (10 / 128 + 0.02 * 127), rel=0.15)


def test_ablations_are_compared_with_the_baseline() -> None:
    study = load_study(overrides=["seeds=[0]"])
    slow = facts(rate=50.0, rise=0.005)
    numbers = summary(study, **{"no_async__2x2__seed0": slow})
    found = numbers.ablation("no_async")
    assert found["rate"]["value"] == 50 and found["efficiency"]["value"] == pytest.approx(50 / 400)
    assert found["throughput"]["value"] == pytest.approx(0.5)
    assert found["convergence"]["reached"] == 0
    # The baseline rises by 0.8 of 9 in 820 frames, 8.2 s; this one by 4 in 1,000, 20 s.
    speeds = 0.8 * 9 / 820, 0.8 * 9 / 8.2
    assert numbers.goal.gain == pytest.approx(0.8 * 9)
    assert found["convergence"]["per_frame"]["cdr"] == pytest.approx(100 * (1 - 0.004 / speeds[0]))
    assert found["convergence"]["per_second"]["cdr"] == pytest.approx(100 * (1 - 0.2 / speeds[1]))
    assert numbers.ablation("baseline")["convergence"]["per_frame"] == {
        "speed": pytest.approx(speeds[0]), "relative": 1.0, "cdr": 0.0,
    }  # fmt: skip


def test_a_baseline_that_learns_nothing_is_no_reference() -> None:
    study = load_study(overrides=["seeds=[0]"])
    numbers = summary(study, **{"baseline__2x2__seed0": facts(rise=0.0)})
    assert numbers.ablation("no_dynamic")["convergence"]["per_frame"]["cdr"] is None
    assert numbers.index("no_dynamic")["cpi"] is None


def test_a_fault_that_did_not_happen_counts_for_nothing() -> None:
    study = load_study(overrides=["seeds=[0]", 'faults.kinds=["kill_actor"]', "faults.variants=[]"])
    numbers = summary(study, **{"baseline__1x4__seed0__kill_actor": {"absent": "why", "stage_seconds": 1.0}})
    assert numbers.fault("baseline", "kill_actor") == {"runs": 0, "recovered": 0, "failed": []}
    assert numbers.robustness("baseline") == (None, True) and numbers.index("baseline")["cpi"] is None


def test_faults_cost_time_frames_and_robustness() -> None:
    study = load_study(overrides=["seeds=[0]", "faults.variants=[]", "index.alpha=0", "index.beta=0", "index.gamma=1"])
    calm = facts()
    half = calm | {"times": {"seconds": [0.0, 19.0], "frames": [50.0, 1000.0]}, "recovery": 4.0, "vain": 3.0}
    numbers = summary(
        study,
        **{
            "baseline__1x4__seed0__kill_actor": half | {"rewards": [0.0, 1.0]},
            "baseline__1x4__seed0__stall_actor": {"failed": "told why", "stage_seconds": 1.0},
        },
    )
    killed = numbers.fault("baseline", "kill_actor")
    assert killed["throughput"] == pytest.approx(0.5) and killed["seconds_lost"]["mean"] == pytest.approx(9.5)
    assert killed["frames_lost"] == study.design.frames_a_rollout and killed["recovery"] == 4.0
    assert killed["reward_change"] == {"mean": pytest.approx(-1.5), "error": 0.0}
    assert killed["convergence"] == pytest.approx(0.0)
    stalled = numbers.fault("baseline", "stall_actor")
    assert stalled == {"runs": 1, "recovered": 0, "failed": ["told why"]}
    assert numbers.fault("baseline", "restart_learner")["frames_lost"] == 60
    # Two of three survived, with half and all of the throughput.
    assert numbers.robustness("baseline") == (pytest.approx(2 / 3 * 0.75), True)
    assert numbers.robustness("no_async") == (pytest.approx(0.5), False)
    assert numbers.index("baseline")["cpi"] == pytest.approx(0.5)
