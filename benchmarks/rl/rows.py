"""The rows of this benchmark's table."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.measure import Timing
from benchmarks.result import Result


def add_row(result: Result, what: str, by: str, measured: float, unit: str, over_rounds: str = "") -> None:
    """A figure, the median over rounds, and if need be its range."""
    row = {"what": what, "by": by, "measured": measured, "unit": unit, "over rounds": over_rounds}
    result.rows.append(row)


def add_rates(result: Result, what: str, timing: Mapping[str, Timing], unit: str) -> None:
    """Items a second of CPU time of each case."""
    for by, times in timing.items():
        add_row(result, what, by, times.cpu_rate, f"{unit}/CPU-s")
