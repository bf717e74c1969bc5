"""The GPU benchmark as far as it runs without a GPU, on an interpreter without chemistry and ADIOS2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.gpu import correctness, file
from benchmarks.gpu.__main__ import bars, run_part
from benchmarks.gpu.busy import covered
from benchmarks.gpu.job import Job
from tests.runs import ROOT
from tests.tables import assert_same_table, graph_tables

ABSENT = ("rdkit", "adios2", "mpi4py", "safetensors", "matplotlib", "tensorboard", "preprocessing")
BLOCK = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {ABSENT}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


@pytest.fixture(scope="module")
def molecules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gpu") / "molecules.npz"
    file.write(path, file.molecules(400, 0))
    return path


def test_a_dry_run_without_chemistry(molecules: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCK)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHON": sys.executable, "MOLECULES": str(molecules)}
    command = [ROOT / "benchmarks/gpu.sh", "--device", "cpu", "--minimal", "--out", tmp_path]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "gpu_dry_run.json").read_text())
    assert result["minimal"]
    notes = "\n".join(result["notes"])
    assert "the part" not in notes, "a part failed"
    assert notes.count("correct: ") >= 9
    rows = {(row["measured"], row["network"]) for row in result["rows"]}
    assert {(measured, name) for measured in ("steps", "epoch") for name in ("hydrasurr", "PyG")} < rows
    assert ("query", "hydrasurr, from graphs") in rows
    assert ("query", "hydrasurr, from SMILES") not in rows
    assert len(result["bars"]) == 3
    assert "forces were not measured: there is no 'safetensors' here" in notes


def test_forces(molecules: Path) -> None:
    found = run_part("forces", 200, molecules, "cpu", minimal=True)
    checks = {value["what"]: value["ok"] for kind, value in found if kind == "check"}
    assert len(checks) == 5 and all(checks.values()), found
    rows = {(value["measured"], value["network"]): value["atoms"] for kind, value in found if kind == "row"}
    assert rows[("forces, pair network", "bf16")] == 108
    assert rows[("forces, PaiNN", "fp32")] == 64
    assert ("neighbour search", "vesin on the CPU") in rows


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, which would be measured")
def test_without_a_gpu_nothing_is_written(molecules: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", str(molecules), "--out", str(tmp_path / "results")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no CUDA device" in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.fixture
def damaged(molecules: Path, tmp_path: Path) -> Path:
    path = tmp_path / "damaged.npz"
    path.write_bytes(molecules.read_bytes()[:1000])
    return path


def test_a_part_that_fails_or_takes_too_long_is_told(molecules: Path, damaged: Path) -> None:
    [(kind, text)] = run_part("query", 100, damaged, "cpu", minimal=True)
    assert kind == "note"
    assert text.startswith("the part 'query' ended with status 1")
    assert "BadZipFile" in text
    assert run_part("query", 0.01, molecules, "cpu", minimal=True) == [
        ("note", "the part 'query' was stopped after 0.01 s: ")
    ]


def test_a_check_that_fails_does_not_hide_the_others(damaged: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    correctness.run(Job(damaged, torch.device("cpu"), True, journal))
    checks = [json.loads(line)["check"] for line in journal.read_text().splitlines()]
    assert [check["ok"] for check in checks] == [False, False, False, True]
    assert "BadZipFile" in checks[0]["what"]
    assert "all-reduce" in checks[3]["what"]


@pytest.mark.parametrize(("error", "ok"), [(0.1, True), (0.2, True), (0.3, False), (float("nan"), False)])
def test_an_error_within_its_bound_is_correct(tmp_path: Path, error: float, ok: bool) -> None:
    Job(tmp_path, torch.device("cpu"), True, tmp_path / "journal").check("something", error, 0.2)
    assert json.loads((tmp_path / "journal").read_text())["check"]["ok"] is ok


@given(graph_tables(directed=False))
def test_a_file_holds_the_table(tmp_path_factory: pytest.TempPathFactory, table) -> None:
    path = tmp_path_factory.mktemp("table") / "table.npz"
    file.write(path, table)
    assert_same_table(file.read(path), table)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)).map(lambda pair: (pair[0], sum(pair)))))
def test_covered_time(spans: list[tuple[int, int]]) -> None:
    assert covered(spans) == len({second for start, stop in spans for second in range(start, stop)})


def test_bars_take_our_faster_network() -> None:
    rates = {"hydrasurr": 300.0, "hydrasurr, compiled": 400.0, "PyG": 100.0, "PyG, compiled": 200.0}
    rows = [
        {"measured": measured, "width": 55, "batch": 128, "network": name, "graphs/s": factor * rate, "GPU busy": 0.5}
        for measured, factor in (("steps", 7), ("epoch", 1))
        for name, rate in rates.items()
    ]
    eager, compiled, busy = bars(rows)
    assert (eager.measured, compiled.measured, busy.measured) == (4, 2, 50)
    assert eager.met
    assert not busy.met
    assert bars([row for row in rows if "compiled" not in row["network"]])[0].measured == 3
