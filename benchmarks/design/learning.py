"""What agents find in half an hour of one core, against a random policy with as many actions."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

from benchmarks.design.runs import Finished, design
from benchmarks.molecules import Setting
from benchmarks.result import Bar, Result
from benchmarks.rl.rows import add_row
from hydrasurr.demo import run_demo
from hydrasurr.shipped import shipped

CPU_MINUTES = 30
"""That an agent may take."""
SEEDS = 3


def measure(result: Result, setting: Setting) -> None:
    """The shipped configurations; a random policy for each with the same seed."""
    seeds = range(setting.size(SEEDS, 1))
    qed = {who: [_run(setting, "design_qed", who, seed) for seed in seeds] for who in ("agent", "random")}
    for who, runs in qed.items():
        tops = [run.results["top_10_mean"] for run in runs]
        add_row(result, "QED, mean of the 10 best", who, float(np.mean(tops)), "", _span(tops))
    best = float(np.mean([run.results["top_10_mean"] for run in qed["agent"]]))
    result.bars.append(Bar("QED, mean of the 10 best", best, 0.9, unit=""))

    model = _surrogate(setting)
    gap = {who: [_run(setting, "design_gap", who, seed, model) for seed in seeds] for who in ("agent", "random")}
    hits = {who: [_hits(run) for run in runs] for who, runs in gap.items()}
    for who, runs in hits.items():
        counts, rates = [float(good.sum()) for good in runs], [100 * float(good.mean()) for good in runs]
        what = "gap in the wanted range, different molecules"
        add_row(result, what, who, float(np.mean(counts)), "", _span(counts))
        add_row(result, f"{what}, of all", who, float(np.mean(rates)), "%", _span(rates))
    for what, of in (("share", np.mean), ("number", np.sum)):
        agent, chance = (float(np.mean([of(good) for good in hits[who]])) for who in ("agent", "random"))
        result.bars.append(Bar(f"gap in the wanted range, {what}: agent / random", agent / max(chance, 1e-9), 5))

    minutes = max(run.cpu_minutes for runs in (qed["agent"], gap["agent"]) for run in runs)
    result.bars.append(Bar("CPU minutes of an agent, at most", minutes, CPU_MINUTES, at_most=True, unit=" min"))
    result.notes.append(
        "learning: run_configs/design_qed.json and design_gap.json, the latter with the surrogate that `hydrasurr "
        "demo` trains, which also says what is in the range; CPU minutes are those of all processes of a run, and of "
        "their start"
    )


def _run(setting: Setting, name: str, who: str, seed: int, model: Path | None = None) -> Finished:
    config = json.loads(shipped("run_configs")[name].read_text())
    config["seed"] = seed
    if model is not None:
        for part in config["objective"]["terms"]:
            if part["property"]["type"] == "surrogate":
                part["property"]["model"] = str(model)
    if who == "random":
        config["learner"] = {"type": "random", "steps": config["learner"]["steps"]}
    if setting.minimal:
        config["frames"] = 4000
    return design(setting.cache / "learning" / f"{name}-{who}-{seed}", config)


def _surrogate(setting: Setting) -> Path:
    """Of the gap, trained at the first call."""
    folder = (setting.cache / "demo").resolve()
    run = folder / "runs" / "qm9_gap_5k"
    if not (run / "results.json").exists():
        run_demo(folder, ["--set", "training.epochs=1"] if setting.minimal else [])
    return run


def _hits(run: Finished) -> np.ndarray:
    """bool: of each different molecule that was evaluated, whether its prediction lies in the wanted range."""
    terms = json.loads(run.folder.config.read_text())["objective"]["terms"]
    goal = next(term["goal"] for term in terms if term["property"]["type"] == "surrogate")
    with run.folder.molecules.open() as file:
        gaps = np.array([float(row["gap (eV)"]) for row in csv.DictReader(file)])
    return (gaps >= goal["low"]) & (gaps <= goal["high"])


def _span(values: list[float]) -> str:
    return f"{min(values):.3g} to {max(values):.3g}"
