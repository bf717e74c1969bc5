"""Design runs in processes of their own, and what they leave."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hydrasurr.files import read_records
from hydrasurr.rl.running.folder import DesignFolder

SMALL: dict[str, Any] = {
    "name": "benchmark",
    "environment": {"rules": {"max_atoms": 10}, "max_steps": 10, "reward": "dense"},
    "objective": {"terms": [{"property": {"type": "penalised_logp"}}]},
    "model": {"hidden": 32, "layers": 2},
}
"""A problem whose rollouts are cheap: what is measured is what goes on between actors and learners."""


@dataclass(frozen=True)
class Finished:
    """A run that has ended.

    Attributes
    ----------
    records : lines of metrics.jsonl
    results : of results.json
    cpu_minutes : of all its processes, their start included
    """

    folder: DesignFolder
    records: list[dict[str, Any]]
    results: dict[str, Any]
    cpu_minutes: float

    @property
    def frames_per_second(self) -> float:
        """From the first record to the last: without the start of the processes."""
        first, last = self.records[0], self.records[-1]
        if first is last:  # of a run that is too short to tell them apart
            return last["total_frames"] / last["total_seconds"]
        return (last["total_frames"] - first["total_frames"]) / (last["total_seconds"] - first["total_seconds"])

    @property
    def final_objective(self) -> float:
        """The mean of the molecules with which episodes ended, over the last fifth of the records."""
        known = [record["objective"] for record in self.records if record["objective"] is not None]
        return float(np.mean(known[-max(len(known) // 5, 1) :]))


def design(folder: Path, config: dict[str, Any] | str, *settings: str, learners: int = 1) -> Finished:
    """Run a configuration, or the shipped one of that name; raises RuntimeError with what it said if it failed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if not isinstance(config, str):
        (folder / "run.json").write_text(json.dumps(config))
        config = str(folder / "run.json")
    launcher = [sys.executable, "-m"]
    if learners > 1:
        launcher += ["torch.distributed.run", "--standalone", f"--nproc-per-node={learners}", "-m"]
    arguments = ["hydrasurr", "design", "train", config, "--out", str(folder / "run")]
    arguments += [word for setting in settings for word in ("--set", setting)]
    before = _children_seconds()
    done = subprocess.run(
        [*launcher, *arguments], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    files = DesignFolder(folder / "run")
    results = json.loads(files.results.read_text())
    return Finished(files, read_records(files.metrics), results, (_children_seconds() - before) / 60)


def _children_seconds() -> float:
    """CPU time of all processes that this one has started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
