"""Molecular design: the environment, the reward service, schedulers, and gradients of a policy."""

from __future__ import annotations

from benchmarks.molecules import Setting
from benchmarks.result import Result
from benchmarks.rl import communication, environment, rewards, scheduling

PARTS = (environment.steps, rewards.batches, scheduling.balance, communication.compression)
"""Each adds rows, bars and notes to the result."""


def run(setting: Setting) -> Result:
    """One thread; rates by CPU time."""
    result = Result(
        "rl",
        "Molecular design, one thread: steps of the environment against enumeration by RDKit, the reward service with "
        "many molecules at a time against one by one, schedulers against a static split, and bytes of gradients as "
        "PowerSGD against whole ones",
        minimal=setting.minimal,
    )
    for part in PARTS:
        part(result, setting)
    return result
