"""Means with errors, and drifts, of what a run logs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from hydrasurr.errors import StructureError
from hydrasurr.training.figure_style import new_axes, styled


@dataclass(frozen=True)
class Mean:
    """A mean and its standard error, None where it cannot be told."""

    mean: float
    error: float | None
    unit: str


def block_mean(values: np.ndarray, unit: str = "", blocks: int = 10) -> Mean:
    """The mean of a series whose neighbours are alike; its error is that of the mean over blocks."""
    if len(values) < blocks:
        return Mean(float(np.mean(values)), None, unit)
    means = [part.mean() for part in np.array_split(values, blocks)]
    return Mean(float(np.mean(values)), float(np.std(means, ddof=1) / np.sqrt(blocks)), unit)


def energy_drift(time_ps: np.ndarray, energy_eV: np.ndarray, atoms: int) -> Mean:
    """The slope of a straight line through energies, meV/atom/ps, and its standard error by least squares.

    Raises StructureError for fewer than two points.
    """
    if len(time_ps) < 2:
        raise StructureError(f"a drift needs two points in time at least, there are {len(time_ps)}")
    time, energy = time_ps - np.mean(time_ps), (energy_eV - np.mean(energy_eV)) / atoms * 1000
    square = float((time**2).sum())
    slope = float((time * energy).sum() / square)
    rest = float(((energy - slope * time) ** 2).sum())
    error = np.sqrt(rest / (len(time) - 2) / square) if len(time) > 2 else None
    return Mean(slope, None if error is None else float(error), "meV/atom/ps")


class Thermo:
    """Means of temperature, pressure and energy over the later part of a run, and the drift over all of it.

    Parameters
    ----------
    discard : the part of the log left out at its begin, where the system is not yet in equilibrium
    blocks : for the errors
    """

    def __init__(self, discard: float = 0.5, blocks: int = 10):
        if not 0 <= discard < 1 or blocks < 2:
            raise ValueError("expected 0 <= discard < 1 and blocks >= 2")
        self.discard, self.blocks = discard, blocks

    def compute(self, log: Mapping[str, np.ndarray], atoms: int) -> Thermo:
        """Take the columns of a log, see hydrasurr.md.log.read_log, of a system of so many atoms."""
        if not len(log["step"]):
            raise StructureError("the log has no lines")
        self._log, self._atoms = log, atoms
        start = int(len(log["step"]) * self.discard)
        self._late = {name: values[start:] for name, values in log.items()}
        return self

    @property
    def temperature(self) -> Mean:
        """K."""
        return self._mean("temperature_K", "K")

    @property
    def pressure(self) -> Mean | None:
        """bar; None for a system without a volume."""
        return None if np.isnan(self._late["pressure_bar"]).any() else self._mean("pressure_bar", "bar")

    @property
    def potential_energy(self) -> Mean:
        """meV/atom."""
        return self._mean("potential_eV", "meV/atom", 1000 / self._atoms)

    @property
    def drift(self) -> Mean | None:
        """Of the conserved energy over the whole log, meV/atom/ps; None if nothing is conserved."""
        conserved = self._log["conserved_eV"]
        if np.isnan(conserved).any() or len(conserved) < 2:
            return None
        return energy_drift(self._log["time_ps"], conserved, self._atoms)

    def as_dict(self) -> dict[str, Any]:
        """All of these, as JSON."""
        named = {name: getattr(self, name) for name in ("temperature", "pressure", "potential_energy", "drift")}
        return {name: None if mean is None else vars(mean) for name, mean in named.items()}

    @styled
    def plot(self, ax: Axes | None = None, column: str = "temperature_K") -> Axes:
        """Draw a column of the log over time on `ax`, or on a new figure."""
        ax = new_axes((4.2, 2.6))[1] if ax is None else ax
        ax.plot(self._log["time_ps"], self._log[column])
        ax.set(xlabel="t [ps]", ylabel=column)
        return ax

    def _mean(self, column: str, unit: str, factor: float = 1.0) -> Mean:
        return block_mean(self._late[column] * factor, unit, self.blocks)
