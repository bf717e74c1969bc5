"""`hydrasurr md argon` as a person types it, small."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.graphs.neighbours import NeighbourList
from hydrasurr.graphs.systems import Systems
from hydrasurr.md.argon.settings import load_study
from hydrasurr.md.argon.summary import read_measured
from hydrasurr.md.study.stages import Result, StudyFolder
from hydrasurr.md.systems import liquid_argon
from tests.runs import command, environment, start

TINY = {
    "reference.equilibration_ps": 0.3,
    "reference.frames": 4,
    "reference.interval_ps": 0.05,
    "fit.steps": 40,
    "fit.particles": 60,
    "fit.evaluate_every": 10,
    "dynamics.equilibration_ps": 0.02,
    "dynamics.length_ps": 0.3,
    "dynamics.interval_ps": 0.01,
    "dynamics.nve_ps": 0.05,
    "dynamics.rollout_ps": 0.02,
    "scaling.factors": [1, 2],
    "scaling.repeats": 1,
    "scaling.search_steps": 4,
}
FORMATS = ("fp64", "fp32", "bf16", "int8", "int4", "int4_refit")


def arguments(out: Path, *more: str, **changes: object) -> list[str]:
    settings = TINY | {key.replace("__", "."): value for key, value in changes.items()}
    given = [part for key, value in settings.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    return command("md", "argon", "--quick", "--atoms", "256", "--out", out, *given, *more)


def run(out: Path, *more: str, **changes: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        arguments(out, *more, **changes), cwd=out.parent, env=environment(), capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """A study that was killed after its fit, and finished by the same command; with the times of the first files."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "measured.txt").write_text("3.0 0.1\n3.7 3.0\n5.3 0.6\n")
    out = folder / "out"
    process = start(arguments(out), folder)
    deadline = time.monotonic() + 200
    while not (out / "stages/fit.npz").exists():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.02)
    process.kill()
    process.communicate()
    before = {path.stem: path.stat().st_mtime_ns for path in (out / "stages").glob("*.npz")}
    assert not (out / "report.html").exists()
    done = run(out, "--measured", "measured.txt")
    assert done.returncode == 0, done.stderr
    assert "int4_refit" in done.stdout and "report.html" in done.stderr
    return out, before


def test_a_killed_study_goes_on_where_it_stopped(killed: tuple[Path, dict[str, int]]) -> None:
    out, before = killed
    assert {"reference", "fit"} <= set(before)
    for name, when in before.items():
        assert (out / f"stages/{name}.npz").stat().st_mtime_ns == when
    numbers = json.loads((out / "report.json").read_text())
    assert set(numbers["dynamics"]) == {"lj", "lj_again", *FORMATS}


def test_it_ends_as_without_the_kill(killed: tuple[Path, dict[str, int]], tmp_path: Path) -> None:
    out, _ = killed
    done = run(tmp_path / "whole", formats=["fp32"], scaling__factors=[1])
    assert done.returncode == 0, done.stderr
    for name in ("reference", "fit", "md-fp32", "forces-fp32"):
        ours, theirs = (Result.read(folder / f"stages/{name}.npz").arrays for folder in (out, tmp_path / "whole"))
        assert ours and all(np.array_equal(ours[key], theirs[key]) for key in ours), name


def test_the_report_holds_all_formats_and_figures(killed: tuple[Path, dict[str, int]]) -> None:
    html = (killed[0] / "report.html").read_text()
    for name in ("Lennard-Jones", "LJ, other start", "FP64", "FP32", "BF16", "INT8", "INT4", "INT4 refit"):
        assert name in html
    labels = set(re.findall(r'aria-label="([^"]*)"', html))
    expected = {
        "training and test error by batch",
        "bytes by format",
        "radial distribution functions",
        "their deviation from Lennard-Jones",
        "potential energy over time",
        "mean square displacement over time",
        "time of force evaluation by atoms",
        "time of neighbour search by atoms",
    }
    assert expected <= labels
    assert sum(label.startswith("force magnitudes of") for label in labels) == len(FORMATS)
    assert sum(label.endswith("of each run") for label in labels) == 4
    assert "measured, 85 K" in html and "O(N²)" in html and "1.000" in html
    assert "src=" not in html.replace('src="data:', "") and "http" not in re.sub(r"xmlns[^ ]*", "", html)
    assert "nan" not in re.sub(r"base64,[^\"]*", "", html).lower().split()


def test_the_numbers_are_those_of_the_stages(killed: tuple[Path, dict[str, int]]) -> None:
    out, _ = killed
    numbers = json.loads((out / "report.json").read_text())
    for name in FORMATS:
        forces, run = numbers["forces"][name], numbers["dynamics"][name]
        columns = Result.read(out / f"stages/forces-{name}.npz").arrays
        assert forces["r2"] == pytest.approx(diagonal_r2(columns["predicted"], columns["reference"]), abs=1e-12)
        assert numbers["bytes"][name]["file"] == (out / f"formats/{name}.safetensors").stat().st_size
        energy = Result.read(out / f"stages/md-{name}.npz").arrays["potential_energy"]
        assert run["potential_energy"]["mean"] == pytest.approx(energy.mean())
        shift = run["potential_energy"]["mean"] - numbers["dynamics"]["lj"]["potential_energy"]["mean"]
        assert run["differences"]["potential_energy"]["mean"] == pytest.approx(shift)
        assert run["differences"]["potential_energy"]["error"] > 0
    assert [size["atoms"] for size in numbers["scaling"]] == [256, 512]
    assert numbers["scaling"][1]["pairs"] == 2 * numbers["scaling"][0]["pairs"]
    assert numbers["bytes"]["bf16"]["weights"] == 2 * 8513 < numbers["bytes"]["fp32"]["weights"] == 4 * 8513


def test_the_table_moves_as_the_network_does(killed: tuple[Path, dict[str, int]]) -> None:
    rollout = json.loads((killed[0] / "report.json").read_text())["rollout"]
    for name in ("fp64", "fp32", "int8", "int4", "int4_refit"):
        assert rollout[name]["force"] < 1e-6 and rollout[name]["position"] < 1e-6
        assert rollout[name]["potential_energy"] < 1e-3
    assert rollout["bf16"]["force"] < 5e-3  # steps of bfloat16, which a table of 4,000 points rounds off


def test_without_lammps(killed: tuple[Path, dict[str, int]], tmp_path: Path) -> None:
    """The engine here begins alike, and stays close for a while."""
    done = run(tmp_path / "own", engine="own", formats=["fp32"], scaling__factors=[1], reference__equilibration_ps=0)
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "own/report.json").read_text())
    assert numbers["reference"]["engine"] == "own" and numbers["rollout"]["fp32"]["force"] < 1e-6
    assert set(numbers["dynamics"]) == {"lj", "lj_again", "fp32"}


def test_errors_say_what_to_do(killed: tuple[Path, dict[str, int]], tmp_path: Path) -> None:
    done = run(killed[0], sigma=3.5)
    text = " ".join(done.stderr.split())
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "holds a study with other settings" in text and "sigma: 3.4 became 3.5" in text and "--force" in text
    for setting, message in {
        "atomms=3": "atomms: unknown key; did you mean 'atoms'?",
        "dynamics.length_ps=0.1": "dynamics: length_ps 0.1 must be 30 times interval_ps 0.05 or more",
        'formats=["fp8"]': "formats.0: Input should be 'fp64', 'fp32'",
    }.items():
        with pytest.raises(ConfigError, match=re.escape(message)):
            load_study(quick=True, overrides=[setting])
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(HydrasurrError, match="holds other files"):
        StudyFolder(tmp_path).prepare(load_study())
    with pytest.raises(HydrasurrError, match="cannot read the measured curve"):
        read_measured(tmp_path / "missing.txt")


def test_neighbours_within_the_cutoff() -> None:
    study = load_study(quick=True, overrides=["fit.cutoff=10"])
    pairs = NeighbourList(10.0).pairs(Systems.from_ase(liquid_argon(864, arrangement="random")))
    assert study.neighbours == pytest.approx(2 * len(pairs) / 864, rel=0.03)


def test_force_begins_anew(tmp_path: Path) -> None:
    first, second = (load_study(quick=True, overrides=[f"seed={seed}"]) for seed in (1, 2))
    folder = StudyFolder(tmp_path / "out")
    folder.prepare(first)
    folder.stage("one", lambda: Result({}))
    folder.prepare(first)
    assert (tmp_path / "out/stages/one.npz").exists()
    folder.prepare(second, force=True)
    assert not (tmp_path / "out/stages").exists() and json.loads(folder.config.read_text())["seed"] == 2


def diagonal_r2(predicted: np.ndarray, reference: np.ndarray) -> float:
    """By the definition, in a loop."""
    mean = sum(reference) / len(reference)
    missed = spread = 0.0
    for ours, theirs in zip(predicted, reference, strict=True):
        missed += (ours - theirs) ** 2
        spread += (theirs - mean) ** 2
    return 1 - missed / spread
