"""Runs that do not reach their end, and how much memory they take on the way."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hydrasurr.errors import StoreError
from hydrasurr.stores import DatasetInfo, open_store
from hydrasurr.stores.bp import BPWriter
from preprocessing.pipeline import preprocess
from tests.preprocessing.conftest import command_environment

SECONDS = 60
"""Longest wait for something that takes a moment."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, qm9, write_table, write_card) -> Path:
    """A table that keeps two workers busy for some seconds."""
    folder = tmp_path_factory.mktemp("interrupted")
    write_table(folder / "t.csv", ["smiles", "gap"], [("C(", 1), *qm9 * 6])
    write_card(folder)
    return folder


def _wait(condition) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.02)


def _group_is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    states = subprocess.run(["ps", "-o", "stat=", "-g", str(group)], capture_output=True, text=True).stdout.split()
    return all(state.startswith("Z") for state in states)  # dead, not yet collected by init


def _start_and_wait_for_data(start_command, folder: Path, name: str) -> subprocess.Popen:
    process = start_command(folder / "card.json", "--out", folder / name, "--workers", 2)
    data = folder / f"{name}.partial" / "data.0"
    _wait(lambda: process.poll() is not None or (data.exists() and data.stat().st_size))
    assert process.poll() is None, process.communicate()[1]
    return process


def test_ctrl_c_leaves_nothing(folder, start_command):
    process = _start_and_wait_for_data(start_command, folder, "i.bp")
    os.killpg(process.pid, signal.SIGINT)  # the terminal sends it to the workers too
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert "interrupted: nothing was written" in errors
    assert "Traceback" not in errors
    assert not list(folder.glob("i.*"))
    _wait(lambda: _group_is_gone(process.pid))


def test_a_killed_run_leaves_nothing_that_looks_complete(folder, start_command, write_card):
    process = _start_and_wait_for_data(start_command, folder, "k.bp")
    process.kill()
    process.communicate(timeout=SECONDS)
    _wait(lambda: _group_is_gone(process.pid))  # workers do not outlive it
    assert (folder / "k.bp.partial").exists() and not (folder / "k.bp").exists()
    with pytest.raises(StoreError, match=r"k\.bp\.partial' is what an interrupted run left"):
        open_store(folder / "k.bp")
    outcome = preprocess(write_card(folder), folder / "k.bp", workers=1, limit=200, show=False)
    assert sum(open_store(folder / "k.bp").info.graphs.values()) == 199
    assert sorted(path.name for path in folder.glob("k.*")) == ["k.bp", "k.rejects.csv"]
    assert outcome.rejects == folder / "k.rejects.csv"


@pytest.mark.parametrize("store", ["bp", "csv"])
def test_a_full_disk_is_told_and_leaves_nothing(folder, run_command, store):
    """A limit on the size of files stands in for the disk."""
    full = 50_000

    def limit_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (full, full))

    run = run_command(
        folder / "card.json",
        "--out",
        folder / "f.bp",
        "--store",
        store,
        "--workers",
        1,
        preexec_fn=limit_files,
    )
    assert run.returncode == 1
    assert "cannot write '" in run.stderr and "File too large" in run.stderr
    assert "Traceback" not in run.stderr
    assert not list(folder.glob("f.*"))


def test_a_disk_that_is_full_at_the_very_end_leaves_what_was_there(tmp_path, write_table, write_card, monkeypatch):
    """Data set and list of rejects belong together, also where an older data set was to be replaced."""
    write_table(tmp_path / "t.csv", ["smiles", "gap"], [("C(", 1), *[("C" * k, k) for k in range(1, 30)]])
    card = write_card(tmp_path)
    preprocess(card, tmp_path / "o.bp", workers=1, show=False)
    before = (tmp_path / "o.rejects.csv").read_text()
    write_table(tmp_path / "t.csv", ["smiles", "gap"], [("N(", 1), ("N((", 2), *[("N" * k, k) for k in range(1, 30)]])

    def full(self: BPWriter, info: DatasetInfo) -> None:
        raise RuntimeError("No space left on device")

    with monkeypatch.context() as patch, pytest.raises(StoreError, match="No space left"):
        patch.setattr(BPWriter, "finish", full)
        preprocess(card, tmp_path / "o.bp", workers=1, show=False, force=True)
    assert sorted(path.name for path in tmp_path.glob("o.*")) == ["o.bp", "o.rejects.csv"]
    assert open_store(tmp_path / "o.bp").info.rejected == 1 and (tmp_path / "o.rejects.csv").read_text() == before


def test_memory_does_not_grow_with_the_table(tmp_path, write_table, write_card):
    """ADIOS2 brings torch along if that is there, too large a background to see anything against."""
    script = tmp_path / "measure.py"
    script.write_text(
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from preprocessing.card import read_card\n"
        "from preprocessing.pipeline import preprocess\n"
        "preprocess(read_card(sys.argv[1]), sys.argv[2], workers=1, show=False)\n"
        "from pathlib import Path\n"
        "status = dict(line.split(':') for line in Path('/proc/self/status').read_text().splitlines())\n"
        "print(1024 * int(status['VmHWM'].split()[0]))\n"  # ru_maxrss would know of the parent's, too
    )
    peak, size = {}, {}
    for rows in (1500, 9000):
        folder = tmp_path / str(rows)
        folder.mkdir()
        write_table(folder / "t.csv", ["smiles", "gap"], [("C" * (70 + k % 10), k) for k in range(rows)])
        write_card(folder)
        command = [sys.executable, script, folder / "card.json", folder / "o.bp"]
        run = subprocess.run(command, capture_output=True, text=True, env=command_environment(), check=True)
        peak[rows] = int(run.stdout)
        size[rows] = sum(file.stat().st_size for file in (folder / "o.bp").iterdir())
    written = size[9000] - size[1500]
    assert written > 6e6
    assert peak[9000] - peak[1500] < written / 3
