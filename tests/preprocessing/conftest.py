"""Tables of real molecules, and ways to run the command on them."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from hydrasurr.stores import SPLITS, open_store
from preprocessing.card import Card, read_card

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def qm9() -> list[tuple[str, float]]:
    """SMILES and gap [Hartree] of 5,000 molecules."""
    with (ROOT / "datasets/qm9_gap_5k/qm9_gap_5k.csv").open(newline="") as file:
        return [(row["smiles"], float(row["gap_hartree"])) for row in csv.DictReader(file)]


@pytest.fixture(scope="session")
def esol() -> list[tuple[str, float]]:
    """SMILES and logarithmic solubility of 1,128 molecules."""
    with (ROOT / "datasets/esol/esol.csv").open(newline="") as file:
        return [(row["smiles"], float(row["logSolubility"])) for row in csv.DictReader(file)]


def _write_table(path: Path, header: list[str], rows: list) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def _write_card(folder: Path, **keys: object) -> Card:
    """A card `card.json` in `folder`; by default of the table `t.csv` with the target `gap`."""
    defaults = {"name": "t", "files": ["t.csv"], "targets": [{"name": "gap", "unit": "eV"}]}
    path = folder / "card.json"
    path.write_text(json.dumps({**defaults, **keys}))
    return read_card(path)


def _assert_same(first: Path, second: Path) -> None:
    """Two data sets have the same header and bit for bit the same columns."""
    a, b = open_store(first), open_store(second)
    assert a.info == b.info
    for split in SPLITS:
        x, y = (store[split].read(0, len(store[split])) for store in (a, b))
        assert x.columns.keys() == y.columns.keys()
        for name in x.columns:
            assert x.columns[name].dtype == y.columns[name].dtype
            np.testing.assert_array_equal(x.columns[name], y.columns[name])
        assert x.edge_index.dtype == y.edge_index.dtype
        np.testing.assert_array_equal(x.edge_index, y.edge_index)
        for level in x.offsets:
            np.testing.assert_array_equal(x.offsets[level], y.offsets[level])


def _run_command(*arguments: object, launcher: tuple[str, ...] = (), **options) -> subprocess.CompletedProcess:
    """`hydrasurr-preprocess` as a process of its own, under a launcher or not."""
    return subprocess.run(
        [*launcher, sys.executable, "-m", "preprocessing", *map(str, arguments)],
        env=command_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


def mpiexec(ranks: int) -> tuple[str, ...]:
    """The launcher that comes with this Python's MPI (the package mpich), or any other."""
    program = shutil.which("mpiexec", path=sysconfig.get_path("scripts")) or shutil.which("mpiexec")
    assert program, "the tests need an MPI: pip install mpich mpi4py"
    return program, "-n", str(ranks)


def command_environment() -> dict[str, str]:
    """Without .pyc files, which a limit on the size of files would cut short for good."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture(scope="session")
def write_table() -> Callable[..., Path]:
    return _write_table


@pytest.fixture(scope="session")
def write_card() -> Callable[..., Card]:
    return _write_card


@pytest.fixture(scope="session")
def assert_same() -> Callable[[Path, Path], None]:
    return _assert_same


@pytest.fixture(scope="session")
def run_command() -> Callable[..., subprocess.CompletedProcess]:
    return _run_command


@pytest.fixture
def start_command() -> Iterator[Callable[..., subprocess.Popen]]:
    """Start `hydrasurr-preprocess` in a process group of its own, which ends with the test."""
    started: list[subprocess.Popen] = []

    def start(*arguments: object) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-m", "preprocessing", *map(str, arguments)],
            env=command_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., tuple[int, str, str]]:
    """`hydrasurr-preprocess` in this process: its exit code and what it printed."""
    from preprocessing.cli import main

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hydrasurr-preprocess", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return call
