"""How evenly schedulers spread tasks of very different cost over real processes, against a static split."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.molecules import Setting
from benchmarks.result import Bar, Result
from benchmarks.rl.rows import add_row
from hydrasurr.rl.executors.pool import TaskRun
from hydrasurr.rl.scheduling.config import SchedulingConfig
from hydrasurr.rl.scheduling.report import LoadReport
from hydrasurr.rl.scheduling.tasks import Task

WORKERS = 8
TASKS = 40
"""For each worker."""
BUSY = 3.0
"""Seconds of sleep for each worker."""
SPREAD = 1.0
"""Standard deviation of the logarithm of cost."""
NOISE = 0.3
"""Of what is known of the logarithm of cost."""

Known = Callable[[np.ndarray, np.random.Generator], list[dict[str, Any]]]
"""What schedulers are told of tasks of some costs."""


def _nothing(cost: np.ndarray, random: np.random.Generator) -> list[dict[str, Any]]:
    return [{}] * len(cost)


def _hints(cost: np.ndarray, random: np.random.Generator) -> list[dict[str, Any]]:
    """A guess that is wrong by a factor, 1.35 or its inverse on average."""
    return [{"hint": hint} for hint in (cost * np.exp(NOISE * random.normal(size=len(cost)))).tolist()]


def _features(cost: np.ndarray, random: np.random.Generator) -> list[dict[str, Any]]:
    """A number that cost depends on as exp(2 x + 1) but for noise, and one that it does not depend on: to be learnt."""
    useful = (np.log(cost) - 1 + NOISE * random.normal(size=len(cost))) / 2
    return [{"features": row} for row in zip(useful.tolist(), random.normal(size=len(cost)).tolist(), strict=True)]


KNOWN: dict[str, Known] = {"knowing nothing": _nothing, "noisy hints": _hints, "costs learnt": _features}
CASES: dict[str, tuple[str, str]] = {
    "static split": ("block", "knowing nothing"),
    **{f"{name}, {known}": (name, known) for name in ("dynamic", "predictive", "stealing") for known in KNOWN},
}
"""By whom -> the scheduler, and what it is told."""
BARRED = ("dynamic, noisy hints", "predictive, noisy hints", "stealing, noisy hints")
"""Those that are to reach the bars."""


def balance(result: Result, setting: Setting) -> None:
    """Tasks sleep, which takes no core, so eight workers need not have eight. Each round has a seed of its own."""
    workers = setting.size(WORKERS, 2)
    cases = CASES if not setting.minimal else {name: CASES[name] for name in ("static split", *BARRED)}
    reports: dict[str, list[LoadReport]] = {name: [] for name in cases}
    for seed in range(setting.repeats):
        cost = np.random.default_rng(seed).lognormal(sigma=SPREAD, size=workers * TASKS)
        cost *= workers * (BUSY if not setting.minimal else 0.1) / cost.sum()
        for name, (scheduler, known) in cases.items():
            about = KNOWN[known](cost, np.random.default_rng(seed + 1000))
            tasks = [Task(str(k), seconds, **about[k]) for k, seconds in enumerate(cost.tolist())]
            reports[name].append(run(tasks, scheduler, workers))
    figures = [("gamma", 1.05, True), ("efficiency", 0.95, False)]
    for figure, bar, at_most in figures:
        for name, found in reports.items():
            values = [getattr(report, figure) for report in found]
            median, spread = statistics.median(values), f"{min(values):.3f} to {max(values):.3f}"
            add_row(result, f"{workers} workers, {workers * TASKS} tasks", name, median, figure, spread)
            if name in BARRED:
                result.bars.append(Bar(f"{figure}, {name}", median, bar, at_most=at_most, unit=""))
    result.notes.append(
        f"schedulers: real processes and sleeping tasks of lognormal({SPREAD:g}) cost, {TASKS} a worker, another seed "
        "each round. Static split: as many neighbouring tasks for each. Noisy hints: cost times "
        f"exp(N(0, {NOISE})). Costs learnt: no hints, but a feature that tells the logarithm of cost up to the same "
        "noise, and one that tells nothing, from which cost is learnt on the way"
    )


def run(tasks: list[Task], scheduler: str, workers: int) -> LoadReport:
    """Let processes do tasks, from the moment when all have started. Raises RuntimeError if one fails."""
    with TaskRun(time.sleep, tasks, SchedulingConfig(scheduler=scheduler), workers) as tasks_run:
        tasks_run.wait_ready()
        problems = [done.error for done in tasks_run if done.error is not None]
        if problems:
            raise RuntimeError(f"{len(problems)} of {len(tasks)} tasks failed, the first one: {problems[0]}")
        return tasks_run.report()
