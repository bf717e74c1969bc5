"""Runs from a configuration: files, restarts, stops. Killed and interrupted runs are real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.constraints import FixAtoms
from ase.io import read, write

from hydrasurr.errors import ConfigError, HydrasurrError, StructureError
from hydrasurr.md.config import MDConfig
from hydrasurr.md.folder import MDFolder
from hydrasurr.md.log import COLUMNS, read_log
from hydrasurr.md.monitors import RunFailed
from hydrasurr.md.restart import Restart
from hydrasurr.md.run import Results, run
from hydrasurr.md.systems import liquid_argon
from hydrasurr.md.trajectory import read_trajectory
from tests.md.small_argon import run_section
from tests.runs import command, environment, start

LONG = {"steps": 10**6, "restart_interval": 200, "log_interval": 7}
"""What is stopped is stopped in its midst, however fast the machine."""
GUARDED = {"type": "guarded", "potential": run_section()["potential"], "r_min": 3.6}


def _run(folder: Path, resume: bool = False, **keys: Any) -> Results:
    return run(MDConfig.model_validate(run_section(**keys)), MDFolder(folder), resume=resume, show=False)


def _assert_equal(first: Path, second: Path) -> None:
    """Two folders hold the same run, to the last bit and byte."""
    one, two = (Restart.read(folder / "restart.npz") for folder in (first, second))
    for name in ("positions", "momenta", "anchor"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name
    assert (one.step, one.memory, one.marks) == (two.step, two.memory, two.marks)
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in second.iterdir())
    for name in ("log.csv", "structure.extxyz", "trajectory.extxyz", "trajectory.dcd"):
        if name in names:
            assert (first / name).read_bytes() == (second / name).read_bytes(), name
    results = [json.loads((folder / "results.json").read_text()) for folder in (first, second)]
    assert all(result.pop("ns_per_day") > 0 for result in results)
    assert results[0] == results[1]


def _start(folder: Path, *arguments: str, **keys: Any) -> subprocess.Popen:
    config = folder / "config.json"
    config.write_text(json.dumps(run_section(**keys)))
    return start(command("md", "run", config, "--out", folder / "run", *arguments), folder)


def _wait_for_step(process: subprocess.Popen, path: Path, step: int) -> None:
    deadline = time.monotonic() + 120
    while not path.exists() or Restart.read(path).step < step:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_files_of_a_run(tmp_path: Path) -> None:
    trajectory = {"interval": 20, "velocities": True, "forces": True}
    results = _run(tmp_path, potential=GUARDED, temperature_K=600, trajectory=trajectory)
    assert results == json.loads((tmp_path / "results.json").read_text())
    assert (results["ended"], results["step"], results["atoms"]) == ("finished", 60, 108)
    log = read_log(tmp_path / "log.csv")
    assert list(log) == list(COLUMNS) and log["step"].tolist() == list(range(0, 61, 10))
    assert np.allclose(log["time_ps"], log["step"] * 0.002)
    assert np.allclose(log["total_eV"], log["potential_eV"] + log["kinetic_eV"])
    assert np.isnan(log["drift_meV_per_atom_per_ps"][0]) and np.isfinite(log["drift_meV_per_atom_per_ps"][1:]).all()
    slope = np.polyfit(log["time_ps"], log["conserved_eV"], 1)[0] / 108 * 1000
    assert log["drift_meV_per_atom_per_ps"][-1] == pytest.approx(slope, rel=1e-5)
    assert results["drift"]["mean"] == pytest.approx(slope, rel=1e-5)
    assert results["temperature"]["mean"] == pytest.approx(log["temperature_K"][3:].mean())

    frames = list(read_trajectory(tmp_path / "trajectory.extxyz"))
    assert [frame.step for frame in frames] == [0, 20, 40, 60]
    for frame, line in zip(frames, log["step"].searchsorted([0, 20, 40, 60]), strict=True):
        assert frame.energy == pytest.approx(log["potential_eV"][line], abs=1e-6)
        assert frame.pressure_bar == pytest.approx(log["pressure_bar"][line], rel=1e-4)
        assert frame.forces.shape == (108, 3)
    restart = Restart.read(tmp_path / "restart.npz")
    assert restart.step == 60 and np.allclose(restart.positions, frames[-1].systems.positions, atol=1e-8)
    (guard,) = results["close_pairs"]
    assert guard["below"] > 0 and guard["smallest"] < 3.6 and guard["seen"] > 61 * 108
    assert np.allclose(read(tmp_path / "structure.extxyz").positions, frames[0].systems.positions)


@pytest.mark.parametrize(
    ("ensemble", "format"), [("nve", "extxyz"), ("nvt_bussi", "dcd"), ("nvt_langevin", "extxyz")]
)
def test_a_killed_run_goes_on_as_if_nothing_had_been(ensemble: str, format: str, tmp_path: Path) -> None:
    """`kill -9` at a step that is no restart's, twice; then everything equals the run that was left alone."""
    keys = {**LONG, "ensemble": ensemble, "trajectory": {"format": format, "interval": 9}, "potential": GUARDED}
    for step, arguments in ((200, ()), (600, ("--resume",))):
        process = _start(tmp_path, *arguments, **keys)
        _wait_for_step(process, tmp_path / "run/restart.npz", step)
        time.sleep(0.05)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    killed_at = Restart.read(tmp_path / "run/restart.npz").step
    assert killed_at >= 600
    keys["steps"] = killed_at + 300
    _run(tmp_path / "alone", **keys)
    process = _start(tmp_path, "--resume", **keys)
    out, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert f"from step {killed_at:,}" in errors and "temperature" in out
    _assert_equal(tmp_path / "alone", tmp_path / "run")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_run_cleanly(number: int, tmp_path: Path) -> None:
    """With a restart at the step it was at, from which it goes on to the same end."""
    keys = {**LONG, "ensemble": "nvt_bussi", "restart_interval": 20}
    process = _start(tmp_path, **keys)
    _wait_for_step(process, tmp_path / "run/restart.npz", 20)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0 and f"stopped by signal {signal.Signals(number).name}" in errors
    stopped_at = Restart.read(tmp_path / "run/restart.npz").step
    assert stopped_at >= 20
    keys["steps"] = stopped_at + 300
    _run(tmp_path / "run", resume=True, **keys)
    _run(tmp_path / "alone", **keys)
    _assert_equal(tmp_path / "alone", tmp_path / "run")


def test_a_time_limit_stops_a_run(tmp_path: Path) -> None:
    config = MDConfig.model_validate(run_section(steps=10**6))
    results = run(config, MDFolder(tmp_path), time_limit=2, show=False)
    assert results["ended"] == "stopped by time limit" and 0 < results["step"] < 10**6


def test_a_finished_run_may_be_given_more_steps(tmp_path: Path) -> None:
    _run(tmp_path / "run", steps=30)
    _run(tmp_path / "run", resume=True, steps=60)
    _run(tmp_path / "alone", steps=60)
    _assert_equal(tmp_path / "alone", tmp_path / "run")


def test_fewer_steps_than_there_are_is_told(tmp_path: Path) -> None:
    _run(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ConfigError, match="has come to step 60 already, and steps is 30"):
        _run(tmp_path, resume=True, steps=30)
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_equilibrate_then_measure(tmp_path: Path) -> None:
    _run(tmp_path / "first", ensemble="nvt_langevin")
    begun = {"structure": {"type": "run", "path": str(tmp_path / "first")}, "velocities": "structure"}
    _run(tmp_path / "second", **begun, trajectory={"interval": 20, "velocities": True})
    last = Restart.read(tmp_path / "first/restart.npz")
    frame = next(read_trajectory(tmp_path / "second/trajectory.extxyz"))
    assert np.allclose(frame.systems.positions, last.positions, atol=1e-8)
    assert np.allclose(frame.to_ase().get_momenta(), last.momenta, atol=1e-7)


def test_a_run_is_not_overwritten_by_mistake(tmp_path: Path) -> None:
    _run(tmp_path)
    with pytest.raises(HydrasurrError, match="holds a run already: --resume"):
        _run(tmp_path)
    with pytest.raises(ConfigError, match=r"timestep_fs: 2\.0 became 1\.0"):
        _run(tmp_path, resume=True, timestep_fs=1.0)
    run(MDConfig.model_validate(run_section(timestep_fs=1.0)), MDFolder(tmp_path), force=True, show=False)
    assert Restart.read(tmp_path / "restart.npz").step == 60


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"structure": "missing.xyz"}, "no structure file"),
        ({"velocities": "structure"}, "the structure brings none"),
        ({"potential": {"type": "born"}}, "no parameters for the elements Ar-Ar"),
        ({"structure": {"type": "molecule", "name": "H2O"}, "repeat": (1, 2, 1)}, "no cell vector b to go along"),
        ({"structure": "held.xyz"}, r"constraints \(FixAtoms\), but a run moves all atoms"),
        ({"structure": "turned.xyz", "trajectory": {"format": "dcd"}}, "a DCD trajectory cannot tell how this cell is"),
    ],
)
def test_a_run_that_cannot_begin_leaves_all_as_it_was(
    keys: dict, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No folder, and a run that was to be replaced is still there."""
    monkeypatch.chdir(tmp_path)
    write("turned.xyz", bulk("Ar", "fcc", a=5.3), format="extxyz")
    held = liquid_argon(32)
    held.set_constraint(FixAtoms([0, 1]))
    write("held.xyz", held, format="extxyz")
    with pytest.raises(HydrasurrError, match=message):
        _run(tmp_path / "new", **keys)
    assert not (tmp_path / "new").exists()
    _run(tmp_path / "old")
    before = {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()}
    with pytest.raises(HydrasurrError, match=message):
        run(MDConfig.model_validate(run_section(**keys)), MDFolder(tmp_path / "old"), force=True, show=False)
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()}


def test_a_fresh_run_deletes_only_its_own_files(tmp_path: Path) -> None:
    _run(tmp_path, trajectory={"format": "dcd", "interval": 20})
    (tmp_path / "notes.txt").write_text("mine")
    run(MDConfig.model_validate(run_section()), MDFolder(tmp_path), force=True, show=False)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "trajectory.dcd").exists() and (tmp_path / "trajectory.extxyz").exists()


def test_the_folder_of_a_training_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"name": "ethanol", "model": {}}')
    for force in (False, True):
        with pytest.raises(HydrasurrError, match=r"config.json' is not of molecular dynamics, .* --out names another"):
            run(MDConfig.model_validate(run_section()), MDFolder(tmp_path), force=force, show=False)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_lost_files_are_named(tmp_path: Path) -> None:
    _run(tmp_path)
    (tmp_path / "trajectory.extxyz").write_text("")
    with pytest.raises(HydrasurrError, match=r"trajectory.extxyz' has lost what was written before the restart"):
        _run(tmp_path, resume=True, steps=80)
    with (tmp_path / "other.npy").open("wb") as file:
        np.save(file, np.zeros(3))
    for damaged in (b"PK nothing", b"", (tmp_path / "other.npy").read_bytes()):
        (tmp_path / "restart.npz").write_bytes(damaged)
        with pytest.raises(HydrasurrError, match=r"cannot read the restart file '.*restart.npz'"):
            _run(tmp_path, resume=True)


def test_a_lost_dcd_is_named(tmp_path: Path) -> None:
    dcd = {"format": "dcd", "interval": 20}
    _run(tmp_path, trajectory=dcd)
    whole = (tmp_path / "trajectory.dcd").read_bytes()
    for rest, message in ((whole[:-100], "has 3 frames, but 4 were"), (whole[:50], "lost"), (None, "lost")):
        (tmp_path / "trajectory.dcd").unlink()
        if rest:
            (tmp_path / "trajectory.dcd").write_bytes(rest)
        with pytest.raises(HydrasurrError, match=f"trajectory.dcd' .*{message}"):
            _run(tmp_path, resume=True, steps=80, trajectory=dcd)
        assert not (tmp_path / "trajectory.dcd.new").exists()


def test_a_full_disk_is_told_and_the_run_can_go_on(tmp_path: Path) -> None:
    keys = {**LONG, "trajectory": {"interval": 10, "forces": True}, "restart_interval": 20, "steps": 200}
    (tmp_path / "config.json").write_text(json.dumps(run_section(**keys)))
    small = (
        "import resource, signal, sys; from hydrasurr.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "main()"
    )
    arguments = ["md", "run", "config.json", "--out", "run"]
    done = subprocess.run(
        [sys.executable, "-c", small, *arguments],
        cwd=tmp_path,
        env=environment() | {"PYTHONDONTWRITEBYTECODE": "1"},  # .pyc files would be cut short for good
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "error: cannot write to 'run': File too large; once it can" in done.stderr
    assert json.loads((tmp_path / "run/results.json").read_text())["ended"].startswith("failed: ")
    _run(tmp_path / "run", resume=True, **keys)
    _run(tmp_path / "alone", **keys)
    _assert_equal(tmp_path / "alone", tmp_path / "run")


def test_atoms_on_top_of_each_other_are_refused(tmp_path: Path) -> None:
    structure = tmp_path / "twins.xyz"
    structure.write_text('3\nLattice="20 0 0 0 20 0 0 0 20" pbc="T T T"\nAr 0 0 0\nAr 5 0 0\nAr 5 0 0\n')
    with pytest.raises(StructureError, match=r"atoms 1 \(Ar\) and 2 \(Ar\) are 0 Angstrom apart"):
        _run(tmp_path / "run", structure=str(structure))
    assert not (tmp_path / "run" / "config.json").exists()


def test_atoms_flung_out_of_sight_stop_a_run(tmp_path: Path) -> None:
    """Without a cell, the neighbour search would end the process."""
    structure = tmp_path / "close.xyz"
    structure.write_text("3\n\nAr 0 0 0\nAr 0.1 0 0\nAr 0 5 0\n")
    config = run_section(structure=str(structure))
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = subprocess.run(
        command("md", "run", tmp_path / "config.json", "--out", tmp_path / "run"),
        cwd=tmp_path, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and "Angstrom apart: the system has flown apart; try a shorter time step" in done.stderr


def test_a_run_that_blows_up_stops_and_keeps_the_restart(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match=r"step \d+: .* K, the system has blown up; try a shorter timestep"):
        _run(tmp_path, timestep_fs=100.0, restart_interval=1, steps=1000, temperature_K=900)
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["ended"].startswith("failed: step")
    restart = Restart.read(tmp_path / "restart.npz")
    assert restart.step == results["step"] - 1 and np.isfinite(restart.positions).all()


def test_limits_stop_a_run(tmp_path: Path) -> None:
    limits = {"max_force": ("beyond stops.max_force = 0.01", 0.01), "max_temperature": ("the temperature is", 60.0)}
    for key, (message, limit) in limits.items():
        with pytest.raises(RunFailed, match=message):
            _run(tmp_path / key, stops={key: limit})
    with pytest.raises(RunFailed, match=r"the energy drifts by .* beyond stops.max_drift = 0.01"):
        _run(
            tmp_path / "drift",
            timestep_fs=20.0,
            steps=2000,
            temperature_K=400,
            stops={"max_drift": 0.01, "drift_after_ps": 1.0},
        )
    assert read_log(tmp_path / "drift/log.csv")["time_ps"][-1] >= 1.0


def test_velocities_must_come_from_somewhere(tmp_path: Path) -> None:
    with pytest.raises(HydrasurrError, match="the structure brings none"):
        _run(tmp_path, velocities="structure")
