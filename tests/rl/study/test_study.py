"""`hydrasurr design study` as a person types it, small."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hydrasurr.files import read_records
from hydrasurr.rl.running.folder import DesignFolder
from tests.runs import command, environment, start

TINY: dict[str, Any] = {
    "design": {
        "environment": {"rules": {"elements": ["C", "O"], "max_atoms": 5}, "max_steps": 4},
        "model": {"hidden": 8, "layers": 1},
        "learner": {"steps": 4},
        "running": {"molecules": 4, "disturbance": {"delay": 0.12}},
        "frames": 480,
    },
    "seeds": [3],
    "scaling": {"actors": [1], "learners": []},
    "ablations": {"variants": ["no_async"], "learners": 1, "actors": 1, "episodes": 8},
    "faults": {
        "kinds": ["restart_learner"],
        "actors": 1,
        "restart_at": 0.25,
        "checkpoint_minutes": 0.01,
        "variants": [],
    },
    "links": {"ranks": [2], "repeats": 2, "most_mb": 0.01},
    "simulation": {
        "workers": [4],
        "tasks": 3,
        "learners": [1, 4],
        "table_at": 4,
        "updates": 8,
        "repeats": 1,
        "rollouts": 16,
        "cases": [{}, {"network": "summit", "gradient_mb": 1}],
    },
}
RUNS = ("baseline-1x1-seed3", "no_async-1x1-seed3", "baseline-1x1-seed3-restart_learner")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that was killed after its first stage, and finished by the same command."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "tiny.json").write_text(json.dumps(TINY))
    arguments, out = command("design", "study", "tiny.json", "--out", "out"), folder / "out"
    process = start(arguments, folder)
    deadline = time.monotonic() + 200
    while not (out / "stages/links.json").exists():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.02)
    process.kill()
    process.communicate()
    before = (out / "stages/links.json").stat().st_mtime_ns
    done = subprocess.run(arguments, cwd=folder, env=environment(), capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    assert (out / "stages/links.json").stat().st_mtime_ns == before
    assert "restart learner" in done.stdout and "report.html" in done.stderr
    return out


@pytest.fixture(scope="module")
def numbers(study: Path) -> dict[str, Any]:
    return json.loads((study / "report.json").read_text())


def test_every_run_has_its_stage(study: Path) -> None:
    stages = {path.stem for path in (study / "stages").iterdir()}
    assert stages == {"links", *RUNS, "schedulers", "cluster"}


def test_numbers_are_those_of_the_records(study: Path, numbers: dict[str, Any]) -> None:
    records = read_records(DesignFolder(study / "runs" / RUNS[0]).metrics)
    steady = [r for r in records[1:] if r["total_frames"] - r["frames"] >= 0.2 * 480] or records[1:]
    point = numbers["scaling"]["points"][0]
    assert point["speedup"]["value"] == point["efficiency"]["value"] == 1
    rate = sum(r["frames"] for r in steady) / sum(r["seconds"]["all"] for r in steady)
    assert point["rate"]["value"] == pytest.approx(rate)
    split = point["iteration"]
    parts = sum(split[name] for name in ("computation", "communication", "wait", "step"))
    assert parts == pytest.approx(split["measured"], rel=1e-6)
    assert point["system_efficiency"] == pytest.approx(point["utilisation"] / (2 - point["utilisation"]))


def test_a_killed_learner_is_resumed_and_nothing_counts_twice(study: Path, numbers: dict[str, Any]) -> None:
    fault = numbers["faults"]["baseline"]["restart_learner"]
    assert fault["recovered"] == fault["runs"] == 1 and fault["counted_once"]
    assert fault["recovery"] > 0 and fault["frames_lost"] >= 0
    hurt, calm = (json.loads((study / f"stages/{name}.json").read_text()) for name in (RUNS[2], RUNS[0]))
    lost = hurt["times"]["seconds"][-1] - calm["times"]["seconds"][-1]
    assert fault["seconds_lost"]["mean"] == pytest.approx(lost)
    folder = DesignFolder(study / "runs" / RUNS[2])
    records = read_records(folder.metrics)
    assert sum(record["frames"] for record in records) == records[-1]["total_frames"] >= 480
    assert sum(lane["rollouts"] for lane in folder.load_part(0, 1)["lanes"]) * 16 == records[-1]["total_frames"]
    assert numbers["index"]["baseline"]["robustness"] == pytest.approx(min(fault["throughput"], 1))
    assert not numbers["index"]["no_async"]["own_faults"]


def test_final_rewards_are_of_the_trained_policies(study: Path, numbers: dict[str, Any]) -> None:
    stage = json.loads((study / f"stages/{RUNS[1]}.json").read_text())
    assert len(stage["rewards"]) == 8
    assert numbers["ablations"]["no_async"]["final"]["mean"] == pytest.approx(np.mean(stage["rewards"]))


def test_links_were_measured_both_ways(numbers: dict[str, Any]) -> None:
    (nothing, there), (back, same) = numbers["links"]["latency"]
    assert nothing is None and same is None and there > 0 and back > 0
    sizes = [row["bytes"] for row in numbers["links"]["all_reduce"]]
    assert numbers["links"]["gradient_bytes"] in sizes and all(
        row["ranks"] == 2 for row in numbers["links"]["all_reduce"]
    )


def test_the_report_holds_all_figures_and_nothing_from_elsewhere(study: Path) -> None:
    html = (study / "report.html").read_text()
    labels = set(re.findall(r'aria-label="([^"]*)"', html))
    assert {
        "speed-up by actors",
        "parallel efficiency by actors",
        "utilisation and communication by actors",
        "parts of an iteration",
        "throughput and efficiency of ablations",
        "radar chart of ablations",
        "convergence of ablations",
        "loss variance of ablations",
        "final rewards of ablations",
        "objective of ablations by frames",
        "objective of ablations by seconds",
        "frames over time with faults",
        "load of workers, predictive",
        "measured latency between ranks",
        "modelled latency between ranks",
        "density of rollout times by actor",
        "shares of time by operation",
        "simulated efficiency by learners",
        "parts of a simulated iteration",
    } <= labels
    assert "src=" not in html.replace('src="data:', "") and "http" not in re.sub(r"xmlns[^ ]*", "", html)
    assert not re.search(r"\bnan\b", re.sub(r"base64,[^\"]*", "", html), re.I)
