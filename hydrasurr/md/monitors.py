"""Watching a run: energy drift, and stops before nonsense is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from hydrasurr.errors import HydrasurrError
from hydrasurr.md.config import StopsConfig
from hydrasurr.md.state import State
from hydrasurr.surrogate.potentials.contract import Potential, Sum
from hydrasurr.surrogate.potentials.guard import RangeGuard

BLOWN_UP_K = 1e6
"""A temperature that no run means to reach; without a limit of its own it ends here."""


class RunFailed(HydrasurrError):
    """A run has come to a state that is not worth going on from."""


@dataclass
class RunningLine:
    """A straight line through points that come one by one, by least squares.

    Sums of products of deviations from the mean are updated, which keeps the digits that sums of squares would lose
    (Welford, Technometrics 4, 419, 1962).
    """

    count: int = 0
    mean_x: float = 0.0
    mean_y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    def add(self, x: float, y: float) -> None:
        self.count += 1
        from_old = x - self.mean_x
        self.mean_x += from_old / self.count
        self.mean_y += (y - self.mean_y) / self.count
        self.xx += from_old * (x - self.mean_x)
        self.xy += from_old * (y - self.mean_y)

    @property
    def slope(self) -> float | None:
        """None before there are two points."""
        return self.xy / self.xx if self.xx else None


class Monitor:
    """Looks at every step, and follows the drift of the conserved energy.

    Parameters
    ----------
    line : a new one, or that of the run to resume
    """

    def __init__(self, stops: StopsConfig, timestep_fs: float, line: RunningLine):
        self.stops, self.timestep_fs = stops, timestep_fs
        self.line = line

    @property
    def memory(self) -> dict[str, float]:
        return asdict(self.line)

    def drift(self, state: State, step: int, conserved: float | None) -> float | None:
        """Take a point of the conserved energy (eV); the drift so far in meV/atom/ps, None if there is none."""
        if conserved is None:
            return None
        self.line.add(self._time_ps(step), conserved / state.systems.num_atoms * 1000)
        return self.line.slope

    def check_drift(self, step: int) -> None:
        """Raises RunFailed if the drift is beyond its limit."""
        drift, limit = self.line.slope, self.stops.max_drift
        if limit and drift is not None and self._time_ps(step) >= self.stops.drift_after_ps and abs(drift) > limit:
            raise RunFailed(
                f"step {step:,}: the energy drifts by {drift:.3g} meV/atom/ps, beyond stops.max_drift = {limit:g}; "
                "try a shorter timestep_fs, or look whether the potential's forces are the gradient of its energy"
            )

    def _time_ps(self, step: int) -> float:
        return step * self.timestep_fs / 1000

    def check(self, state: State, step: int) -> None:
        """Raises RunFailed if energy or forces are no numbers, or beyond the limits."""
        size = np.sqrt(np.einsum("ij,ij->i", state.result.forces, state.result.forces).max())
        limit = self.stops.max_force
        if not np.isfinite(size) or not np.isfinite(state.result.energy[0]):
            raise RunFailed(f"step {step:,}: {_culprit(state)}; {_ADVICE}")
        if limit and size > limit:
            raise RunFailed(f"step {step:,}: {_culprit(state)}, beyond stops.max_force = {limit:g}; {_ADVICE}")
        temperature = float(state.temperature[0])
        if temperature > (self.stops.max_temperature or BLOWN_UP_K):
            raise RunFailed(f"step {step:,}: the temperature is {temperature:.4g} K, {self._too_hot}; {_ADVICE}")

    @property
    def _too_hot(self) -> str:
        limit = self.stops.max_temperature
        return f"beyond stops.max_temperature = {limit:g}" if limit else "the system has blown up"


def guards(potential: Potential) -> list[RangeGuard]:
    """All range guards within a potential."""
    if isinstance(potential, Sum):
        return [guard for term in potential.terms for guard in guards(term)]
    return [potential, *guards(potential.potential)] if isinstance(potential, RangeGuard) else []


def guard_counts(potential: Potential) -> list[dict[str, Any]]:
    """What the range guards have counted, as JSON: pairs seen, pairs too close, the smallest distance (Angstrom)."""
    return [
        {"seen": guard.seen, "below": guard.below, "smallest": guard.smallest if guard.seen else None}
        for guard in guards(potential)
    ]


def restore_counts(potential: Potential, counts: Sequence[dict[str, Any]]) -> None:
    """Let range guards go on counting from `counts`, those of guard_counts."""
    for guard, count in zip(guards(potential), counts, strict=True):
        guard.seen, guard.below = count["seen"], count["below"]
        guard.smallest = np.inf if count["smallest"] is None else count["smallest"]


_ADVICE = "try a shorter timestep_fs, and see that no atoms of the structure lie on top of each other"


def _culprit(state: State) -> str:
    """What is wrong, with the atom it is worst at."""
    sizes = np.linalg.norm(state.result.forces, axis=1)
    if np.isfinite(sizes).all() and not np.isfinite(state.result.energy[0]):
        return f"the energy is {state.result.energy[0]}"
    worst = int(np.where(np.isfinite(sizes), sizes, np.inf).argmax())
    symbol = chemical_symbols[state.systems.numbers[worst]]
    return f"the force on atom {worst} ({symbol}) is {sizes[worst]:.4g} eV/Angstrom"
