"""Records of a design run put together, each of them for a longer time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

Record = dict[str, Any]
"""A line of metrics.jsonl."""


def condensed(records: Sequence[Record], most: int) -> list[Record]:
    """At most so many records, each of which stands for several that follow each other."""
    parts = np.array_split(np.arange(len(records)), min(most, len(records))) if records else []
    return [together([records[k] for k in part]) for part in parts]


def together(records: Sequence[Record]) -> Record:
    """As if one record had been taken at the time of the last; at least one is given.

    What counts from the begin of the run is that of the last; "load" and "rewards" do so too.
    """
    rollouts, updates, episodes = (_column(records, name) for name in ("rollouts", "updates", "episodes"))
    lags = [record["lag"] for record in records]
    mean, std = (_column(records, name) for name in ("objective", "objective_std"))
    objective = _mean(mean, episodes)
    spread = None if objective is None else float(np.sqrt(_mean(std**2 + (mean - objective) ** 2, episodes)))
    names = dict.fromkeys(name for record in records for name in record["loss"])
    return {
        **records[-1],
        **{name: sum(record[name] for record in records) for name in ("updates", "frames", "rollouts", "episodes")},
        **{name: _sums(records, name) for name in ("seconds", "actor_seconds", "bytes_sent")},
        **{name: sum(record[name] for record in records) for name in ("all_reduce_seconds", "exposed_seconds")},
        "objective": objective,
        "objective_std": spread,
        "length": _mean(_column(records, "length"), episodes),
        "loss": {name: _mean(_column([r["loss"] for r in records], name), updates) for name in names},
        "lag": {
            "min": min(lag["min"] for lag in lags),
            "mean": _mean(_column(lags, "mean"), np.maximum(rollouts, 1)),
            "max": max(lag["max"] for lag in lags),
            "discarded": sum(lag["discarded"] for lag in lags),
        },
    }


def _column(records: Sequence[Record], name: str) -> np.ndarray:
    """float64 `[n]`, NaN where there is none."""
    return np.array([np.nan if record.get(name) is None else record[name] for record in records], np.float64)


def _mean(values: np.ndarray, weights: np.ndarray) -> float | None:
    """Over those that are known and weigh something."""
    known = np.isfinite(values) & (weights > 0)
    return float(np.average(values[known], weights=weights[known])) if known.any() else None


def _sums(records: Sequence[Record], name: str) -> dict[str, float]:
    total: Counter[str] = Counter()
    for record in records:
        total.update(record[name])
    return dict(total)
