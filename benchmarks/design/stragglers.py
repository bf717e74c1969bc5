"""Learners that wait for all actors against one that does not, where rollouts take unequal times."""

from __future__ import annotations

import numpy as np

from benchmarks.design.runs import SMALL, design
from benchmarks.molecules import Setting
from benchmarks.result import Bar, Result
from benchmarks.rl.rows import add_row

ACTORS = 4
DELAY, SPREAD = 0.5, 1.0
"""Mean seconds that a rollout takes longer, and the standard deviation of its logarithm."""
STEPS, MOLECULES = 10, 16
LEARNERS = {
    "PPO (synchronous)": {"type": "ppo", "steps": STEPS, "epochs": 1, "minibatches": 4},
    "IMPALA": {"type": "impala", "steps": STEPS},
}


def measure(result: Result, setting: Setting) -> None:
    """The same actions, in turns; delays are sleeps, so actors need no cores of their own for them."""
    frames = STEPS * MOLECULES * ACTORS * setting.size(40, 4)
    disturbance = {"delay": DELAY, "delay_spread": SPREAD}
    running = {"actors": ACTORS, "lanes": ACTORS, "molecules": MOLECULES, "disturbance": disturbance}
    rates: dict[str, list[float]] = {name: [] for name in LEARNERS}
    for repeat in range(setting.repeats):
        for name, learner in LEARNERS.items():
            lanes = {} if name.startswith("PPO") else {"lanes": 2 * ACTORS}
            config = {**SMALL, "learner": learner, "running": {**running, **lanes}, "frames": frames, "seed": repeat}
            rates[name].append(design(setting.cache / "stragglers", config).frames_per_second)
    for name, values in rates.items():
        span = f"{min(values):.0f} to {max(values):.0f}"
        add_row(result, f"stragglers, {ACTORS} actors", name, float(np.median(values)), "actions/s", span)
    synchronous, asynchronous = (float(np.median(values)) for values in rates.values())
    result.bars.append(Bar("actions a second with stragglers: IMPALA / PPO", asynchronous / synchronous, 1.5))
    result.notes.append(
        f"stragglers: each rollout of {STEPS} actions of {MOLECULES} molecules sleeps for a lognormal time besides, "
        f"{DELAY} s on average (sigma {SPREAD}); PPO takes one rollout of each of {ACTORS} lanes for an update"
    )
