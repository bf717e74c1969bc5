"""Peak memory of preprocessing and training as the table grows: both are to need no more for more molecules."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.molecules import Setting, card, smiles
from benchmarks.result import Bar, Result

BUFFER, WORKERS = 4096, 2
PREPROCESS, TRAIN = f"preprocess, {WORKERS} workers", "train, blocks"
LOOK_EVERY = 0.01
"""Seconds."""


def run(setting: Setting) -> Result:
    """The real commands in processes of their own, on tables of one size, five times it, and 25 times it."""
    result = Result(
        "memory",
        "peak memory of all processes of a command (the sum of each one's peak resident set) as its table grows",
        minimal=setting.minimal,
    )
    source = setting.sources()[-1]
    every = len(smiles(source, 10**9))
    sizes = (600, 1200) if setting.minimal else (every // 25, every // 5, every)
    peaks: dict[str, list[float]] = {PREPROCESS: [], TRAIN: []}
    for count in sizes:
        for name, command in ((PREPROCESS, preprocess_command), (TRAIN, train_command)):
            start = time.perf_counter()
            processes = peak_memory(command(setting, source, count))
            row = {"molecules": source, "rows": f"{count:,}", "command": name, "peak MB": sum(processes) / 1e6}
            row["each process, MB"] = ", ".join(f"{peak / 1e6:.0f}" for peak in processes)
            result.rows.append(row | {"seconds": time.perf_counter() - start})
            peaks[name].append(sum(processes))
    for name, (smallest, *_, largest) in peaks.items():
        result.bars.append(Bar(f"{name}: {sizes[-1]:,} rows / {sizes[0]:,}", largest / smallest, 1.15, at_most=True))
    result.notes += [
        f"train: a whole run of one epoch, with evaluation of all splits and report; its memory budget is too small "
        f"for any of the tables, so blocks are read as needed, and {BUFFER:,} graphs shuffled at a time",
        "preprocess: the parent, named first, reads and writes, the workers make graphs; the smallest process is "
        "Python's own resource tracker",
    ]
    return result


def preprocess_command(setting: Setting, source: str, count: int) -> list[str]:
    """Makes the data set that `benchmarks.molecules.dataset` would make."""
    card(setting, source, count)
    folder = setting.cache / f"{source.lower()}_{count}"
    words = ["preprocessing", folder / "card.json", "--out", folder / "graphs.bp", "--workers", WORKERS, "--force"]
    return [sys.executable, "-m", *map(str, words)]


def train_command(setting: Setting, source: str, count: int) -> list[str]:
    """One epoch of a small network on that data set."""
    folder = setting.cache / f"{source.lower()}_{count}"
    run_json = folder / "run.json"
    config = {
        "name": "memory",
        "data": {"dataset": str(folder / "graphs.bp"), "memory_budget_gb": 1e-6, "buffer_graphs": BUFFER},
        "model": {"hidden": 16, "layers": 2},
        "training": {"epochs": 1, "batch_size": 128, "device": "cpu"},
    }
    run_json.write_text(json.dumps(config))
    return [sys.executable, "-m", "hydrasurr", "train", str(run_json), "--out", str(folder / "run"), "--force"]


def peak_memory(command: list[str]) -> list[int]:
    """Run a command. Bytes of the largest resident set that each of its processes ever had, the first one's first.

    The system keeps that maximum for each process (VmHWM, Linux only), so nothing between two looks is missed but
    what a process needs only in its last moments. Raises RuntimeError if the command fails.
    """
    peaks: dict[int, int] = {}
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        while process.poll() is None:
            for pid in _family(process.pid):
                # The last mark counts: a process that is only just forked still shows its parent's.
                peaks[pid] = _high_water_mark(pid) or peaks.get(pid, 0)
            time.sleep(LOOK_EVERY)
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed: {errors.read()[-2000:]}")
    return list(peaks.values())


def _family(pid: int) -> list[int]:
    """A process and its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it ended
        return [pid]
    return [pid, *(member for child in children for member in _family(int(child)))]


def _high_water_mark(pid: int) -> int:
    """0 if the process ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)
