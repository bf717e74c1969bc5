"""Means, errors and drifts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress

from hydrasurr.errors import StructureError
from hydrasurr.md.analysis import Thermo, energy_drift
from hydrasurr.md.analysis.thermo import block_mean
from hydrasurr.md.log import COLUMNS
from hydrasurr.md.monitors import RunningLine


def _log(lines: int, **columns: np.ndarray) -> dict[str, np.ndarray]:
    return {name: columns.get(name, np.arange(lines, dtype=float)) for name in COLUMNS}


@given(seed=st.integers(0, 10**6), lines=st.integers(3, 60), slope=st.floats(-10, 10), offset=st.floats(-1e6, 1e6))
def test_a_drift_is_the_slope_of_a_straight_line(seed: int, lines: int, slope: float, offset: float) -> None:
    """By scipy, in one go and point by point; also far from zero, as energies of large systems are."""
    generator = np.random.default_rng(seed)
    time = np.sort(generator.random(lines)) * 10
    energy = offset + slope * time + generator.normal(size=lines)
    expected = linregress(time, energy)
    drift = energy_drift(time, energy, 250)
    assert drift.mean == pytest.approx(expected.slope * 4, rel=1e-6, abs=1e-7)
    assert drift.error == pytest.approx(expected.stderr * 4, rel=1e-6, abs=1e-7)
    line = RunningLine()
    assert line.slope is None
    for x, y in zip(time, energy, strict=True):
        line.add(float(x), float(y))
    assert line.slope == pytest.approx(expected.slope, rel=1e-6, abs=1e-7)


def test_the_error_of_a_mean_knows_that_neighbours_are_alike() -> None:
    """Of a process with memory, whose true error is known: sigma sqrt((1 + a) / (1 - a) / n)."""
    generator, memory, lines = np.random.default_rng(0), 0.9, 20_000
    values = np.zeros(lines)
    for k in range(1, lines):
        values[k] = memory * values[k - 1] + np.sqrt(1 - memory**2) * generator.normal()
    exact = np.sqrt((1 + memory) / (1 - memory) / lines)
    assert block_mean(values, blocks=40).error == pytest.approx(exact, rel=0.35)
    assert values.std() / np.sqrt(lines) < 0.3 * exact  # what one would say without knowing
    assert block_mean(np.ones(3), "K").error is None and block_mean(np.ones(3), "K").mean == 1


def test_means_are_those_of_the_later_part() -> None:
    temperature = np.concatenate([np.full(50, 900.0), np.linspace(99, 101, 50)])
    log = _log(100, temperature_K=temperature, potential_eV=np.full(100, -2.0), conserved_eV=np.full(100, 3.0))
    thermo = Thermo(discard=0.5).compute(log, 40)
    assert thermo.temperature.mean == pytest.approx(100) and thermo.temperature.unit == "K"
    assert thermo.potential_energy.mean == pytest.approx(-50) and thermo.potential_energy.error == 0
    assert thermo.drift.mean == 0
    assert set(thermo.as_dict()) == {"temperature", "pressure", "potential_energy", "drift"}
    assert np.array_equal(thermo.plot().lines[0].get_ydata(), temperature)


def test_what_is_not_known_is_none() -> None:
    nothing = np.full(100, np.nan)
    thermo = Thermo().compute(_log(100, pressure_bar=nothing, conserved_eV=nothing), 40)
    assert thermo.pressure is None and thermo.drift is None and thermo.as_dict()["pressure"] is None
    with pytest.raises(StructureError, match="no lines"):
        Thermo().compute({name: np.empty(0) for name in COLUMNS}, 40)
    with pytest.raises(StructureError, match="two points in time"):
        energy_drift(np.zeros(1), np.zeros(1), 3)
