"""What is told of a run as it goes: sums over some updates, a line of metrics.jsonl."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from hydrasurr.rl.running.lanes import Played

PHASES = ("wait", "learn", "publish", "save")
"""Of a learner: for contributions; in updates; telling new weights; in checkpoints."""


class Recorder:
    """Sums up what happens between two records."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._clear()

    def _clear(self) -> None:
        self._seconds: Counter[str] = Counter(dict.fromkeys(PHASES, 0.0))
        self._actor: Counter[str] = Counter()
        self._reports: Counter[str] = Counter()
        self._updates = self._frames = self._rollouts = 0
        self._objective: list[np.ndarray] = []
        self._length: list[np.ndarray] = []
        self._played: dict[str, list[float]] = {"actor": [], "end": [], "seconds": []}

    @property
    def updates(self) -> int:
        """Since the last record."""
        return self._updates

    @property
    def rollouts(self) -> int:
        """Since the last record."""
        return self._rollouts

    @property
    def age(self) -> float:
        """Seconds since the last record."""
        return time.perf_counter() - self._began

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] += time.perf_counter() - start

    def note_played(self, played: Played) -> None:
        self._frames += played.frames
        self._rollouts += 1
        self._actor.update(played.seconds)
        self._objective.append(played.objective)
        self._length.append(played.length)
        for name, value in (("actor", played.actor), ("end", played.end), ("seconds", sum(played.seconds.values()))):
            self._played[name].append(value)

    def note_update(self, report: dict[str, float]) -> None:
        self._updates += 1
        self._reports.update(report)

    def take(self) -> dict[str, Any]:
        """The record, and begin anew."""
        seconds, self._began = self.age, time.perf_counter()
        objective, length = (np.concatenate([np.empty(0), *parts]) for parts in (self._objective, self._length))
        record = {
            "updates": self._updates,
            "frames": self._frames,
            "rollouts": self._rollouts,
            "seconds": {"all": seconds, **self._seconds},
            "actor_seconds": dict(self._actor),
            "played": self._played,
            "episodes": len(objective),
            "objective": float(objective.mean()) if len(objective) else None,
            "objective_std": float(objective.std()) if len(objective) else None,
            "length": float(length.mean()) if len(length) else None,
            "loss": {name: value / max(self._updates, 1) for name, value in self._reports.items()},
        }
        self._clear()
        return record
