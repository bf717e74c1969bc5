"""Whole design runs: stragglers, compressed gradients, and what is learnt in half an hour."""

from __future__ import annotations

from benchmarks.design import compression, learning, stragglers
from benchmarks.molecules import Setting
from benchmarks.result import Result

PARTS = (stragglers.measure, compression.measure, learning.measure)
"""Each adds rows, bars and notes to the result."""


def run(setting: Setting) -> Result:
    """Real processes; each run is a command of its own."""
    result = Result(
        "design",
        "Design runs: IMPALA against PPO where rollouts straggle, PowerSGD against whole gradients by what is learnt, "
        "and agents against a random policy with as many actions",
        minimal=setting.minimal,
    )
    for part in PARTS:
        part(result, setting)
    return result
