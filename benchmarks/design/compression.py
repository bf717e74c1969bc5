"""What two learners learn with PowerSGD and with whole gradients, and what they send."""

from __future__ import annotations

import numpy as np

from benchmarks.design.runs import SMALL, Finished, design
from benchmarks.molecules import Setting
from benchmarks.result import Bar, Result
from benchmarks.rl.rows import add_row

WAYS = {
    "whole": {"compression": "none"},
    "PowerSGD of rank 4": {"compression": "powersgd", "powersgd_rank": 4, "powersgd_start": 2},
}
LEARNER = {"type": "ppo", "steps": 10, "epochs": 2, "minibatches": 2, "optimizer": {"learning_rate": 0.001}}
MODEL = {"hidden": 96, "layers": 3}


def measure(result: Result, setting: Setting) -> None:
    """Two learners by torchrun, each with one actor; the same seeds in turns."""
    running = {"actors": 1, "lanes": 2, "molecules": 16}
    frames = 10 * 16 * 2 * 2 * setting.size(60, 4)
    runs: dict[str, list[Finished]] = {name: [] for name in WAYS}
    for seed in range(setting.size(3, 1)):
        for name, communication in WAYS.items():
            config = {**SMALL, "model": MODEL, "learner": LEARNER, "running": running, "frames": frames, "seed": seed}
            config["communication"] = communication
            runs[name].append(design(setting.cache / "compression", config, learners=2))
    final = {name: np.array([run.final_objective for run in done]) for name, done in runs.items()}
    sent = {name: np.mean([_bytes(run) for run in done]) for name, done in runs.items()}
    for name in WAYS:
        span = f"{final[name].min():.3g} to {final[name].max():.3g}"
        add_row(result, "two learners, final objective", name, float(final[name].mean()), "", span)
        add_row(result, "two learners, gradients", name, sent[name] / 1e6, "MB")
    whole, factorised = WAYS
    result.bars.append(Bar("bytes of gradients: whole / PowerSGD", float(sent[whole] / sent[factorised]), 8))
    difference = final[factorised].mean() - final[whole].mean()
    noise = np.sqrt(sum(values.var(ddof=1) / len(values) for values in final.values())) if len(final[whole]) > 1 else 0
    in_noise = float(difference / (noise or 1))
    result.bars.append(Bar("final objective: PowerSGD less whole, over its standard error", in_noise, -2, unit=""))
    result.notes.append(
        "two learners: penalised logP of molecules of up to 10 atoms; PowerSGD begins with the 3rd step of the "
        "optimizer, and its bytes count those before; final objective: of the molecules with which episodes ended, "
        "over the last fifth of the run"
    )


def _bytes(run: Finished) -> float:
    """Of gradients that a learner sent."""
    return float(sum(sum(record["bytes_sent"].values()) for record in run.records))
