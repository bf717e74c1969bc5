"""`hydrasurr md` as a person types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hydrasurr.errors import HydrasurrError
from hydrasurr.md.config import load_md_config
from hydrasurr.md.folder import MDFolder
from hydrasurr.md.restart import Restart
from hydrasurr.md.run import run
from tests.md.small_argon import run_section
from tests.runs import ROOT, command, environment


def _hydrasurr(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(command(*arguments), cwd=cwd, env=environment(), capture_output=True, text=True, timeout=240)


def test_the_shipped_example(tmp_path: Path) -> None:
    done = _hydrasurr("md", "run", "md_argon_lj", "--set", "steps=40", "--set", "restart_interval=20", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "864 atoms, LennardJones, nvt_bussi, 40 steps of 2 fs" in done.stderr
    assert "temperature" in done.stdout and "meV/atom/ps" in done.stdout and "ns/day" in done.stdout
    assert Restart.read(tmp_path / "runs/md_argon_lj/restart.npz").step == 40


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"steps": 0}, "steps: Input should be greater than 0 (got 0)"),
        ({"stepps": 1}, "stepps: unknown key; did you mean 'steps'?"),
        ({"structure": "missing.xyz"}, "no structure file 'missing.xyz'"),
        ({"potential": "missing.safetensors"}, "no potential at 'missing.safetensors'"),
        ({"potential": {"type": "lenard_jones"}}, "did you mean 'lennard_jones'?"),
        ({"potential": {**run_section()["potential"], "sigm": 1}}, "potential.sigm: unknown key; did you mean 'sigma'"),
        ({"temperature_K": None, "ensemble": "nvt_bussi"}, "temperature_K is missing, which ensemble nvt_bussi and"),
        ({"ensemble": "nvt_langevin", "stops": {"max_drift": 1}}, "nvt_langevin conserves no energy"),
        ({"trajectory": {"format": "dcd", "forces": True}}, "a DCD file holds positions only"),
    ],
)
def test_errors_name_the_key_and_what_to_do(keys: dict, message: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(run_section(**keys)))
    with pytest.raises(HydrasurrError) as caught:
        run(load_md_config(path), MDFolder(tmp_path / "out"), show=False)
    assert message in str(caught.value)


def test_an_error_is_one_line_without_a_traceback(tmp_path: Path) -> None:
    done = _hydrasurr("md", "run", "md_argon_lj", "--set", "structure=missing.xyz", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr == "error: no structure file 'missing.xyz'\n"


def test_the_schema_describes_every_key(tmp_path: Path) -> None:
    done = _hydrasurr("md", "schema", cwd=tmp_path)
    schema = json.loads(done.stdout)
    assert "LennardJonesConfig" in schema["$defs"] and "description" in schema["properties"]["skin"]


def test_help_needs_no_torch() -> None:
    code = "import sys, hydrasurr.cli; sys.exit(any(name in sys.modules for name in ('torch', 'ase', 'vesin')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment()).returncode == 0
