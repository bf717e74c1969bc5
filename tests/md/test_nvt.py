"""Thermostats: do they sample the canonical ensemble? Judged by physical_validation and by known averages."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from ase import units

from hydrasurr.errors import ConfigError
from hydrasurr.md.nvt import Bussi, Langevin, Thermostat
from hydrasurr.md.resumable import Resumable
from hydrasurr.md.state import begin
from hydrasurr.surrogate.potentials.contract import Potential
from tests.md.small_argon import Springs, argon_state, lennard_jones

TEMPERATURE = 120.0
SIGMAS = 4.0
"""A right thermostat fails a test about once in 16,000."""

MAKE = {
    "bussi": lambda *given, **named: Bussi(*given, time_constant_ps=0.02, **named),
    "langevin": lambda *given, **named: Langevin(*given, friction_per_ps=20.0, **named),
}


def _thermostat(name: str, potential: Potential, atoms: int, timestep_fs: float, begun_at: float) -> Thermostat:
    wrapped = Resumable(potential)
    state = argon_state(wrapped, atoms, begun_at)
    return MAKE[name](state, wrapped, timestep_fs, TEMPERATURE, 1)


def _sample(dynamics: Thermostat, samples: int, interval: int, value: Callable[[], float]) -> np.ndarray:
    """Values every `interval` steps, the first after 20 intervals."""
    values = []
    for step in range((samples + 20) * interval):
        dynamics.step()
        if step >= 20 * interval and step % interval == 0:
            values.append(value())
    return np.array(values)


def _deviations(kinetic: np.ndarray, atoms: int) -> tuple[float, float]:
    """By how many standard errors mean and width of kinetic energies (eV) differ from the canonical ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that physical_validation imports
        import physical_validation as pv
    units_used = pv.data.UnitData(
        kb=units.kB, energy_str="eV", energy_conversion=96.485, length_str="A", length_conversion=0.1,
        volume_str="A^3", volume_conversion=1e-3, temperature_str="K", temperature_conversion=1, pressure_str="bar",
        pressure_conversion=1, time_str="ps", time_conversion=1,
    )  # fmt: skip
    data = pv.data.SimulationData(
        units=units_used,
        ensemble=pv.data.EnsembleData("NVT", natoms=atoms, volume=1.0, temperature=TEMPERATURE),
        system=pv.data.SystemData(
            natoms=atoms, nconstraints=0, ndof_reduction_tra=3, ndof_reduction_rot=0, mass=np.full(atoms, 39.948)
        ),
        observables=pv.data.ObservableData(kinetic_energy=kinetic),
    )
    return pv.kinetic_energy.distribution(
        data, strict=False, verbosity=0, bootstrap_seed=1, data_is_uncorrelated=True
    )


@pytest.mark.parametrize("name", MAKE)
def test_an_ideal_gas_has_the_canonical_kinetic_energy(name: str) -> None:
    """Begun far too hot; without forces the thermostat alone decides."""
    dynamics = _thermostat(name, Springs(np.zeros((32, 3)), 0.0), 32, 5.0, 1000.0)
    kinetic = _sample(dynamics, 400, 20, lambda: dynamics.state.kinetic_energy[0])
    assert max(_deviations(kinetic, 32)) < SIGMAS


@pytest.mark.parametrize("name", MAKE)
def test_liquid_argon_has_the_canonical_kinetic_energy(name: str) -> None:
    dynamics = _thermostat(name, lennard_jones(skin=1.0), 108, 4.0, TEMPERATURE)
    kinetic = _sample(dynamics, 150, 20, lambda: dynamics.state.kinetic_energy[0])
    assert max(_deviations(kinetic, 108)) < SIGMAS
    assert np.abs(dynamics.state.momenta.sum(0)).max() < 1e-10


@pytest.mark.parametrize("name", MAKE)
def test_oscillators_share_the_energy_equally(name: str) -> None:
    """`<k x^2 / 2> = kB T / 2` for each of 3 n - 3 directions: the centre of mass rests."""
    atoms, stiffness = 32, 0.5
    wrapped = Resumable(lennard_jones())
    places = argon_state(wrapped, atoms).systems.positions
    springs = Resumable(Springs(places, stiffness))
    begun = argon_state(springs, atoms, TEMPERATURE)
    noise = np.random.default_rng(5).normal(size=(atoms, 3)) * np.sqrt(units.kB * TEMPERATURE / stiffness)
    positions = places + noise - noise.mean(0)
    state = begin(replace(begun.systems, positions=positions), springs, begun.momenta, begun.masses)
    dynamics = MAKE[name](state, springs, 5.0, TEMPERATURE, 3)
    potential = _sample(dynamics, 200, 20, lambda: dynamics.state.result.energy[0])
    degrees = 3 * atoms - 3
    blocks = potential.reshape(10, -1).mean(1) / (degrees * units.kB / 2)
    assert abs(blocks.mean() - TEMPERATURE) < SIGMAS * blocks.std(ddof=1) / np.sqrt(10)
    assert blocks.std(ddof=1) / np.sqrt(10) < 0.05 * TEMPERATURE  # the bound above means something


def test_rescaling_conserves_the_energy_with_what_it_put_in() -> None:
    dynamics = _thermostat("bussi", lennard_jones(cutoff=7.5, skin=1.0), 256, 2.0, 240.0)
    conserved, total = [], []
    for _ in range(300):
        dynamics.step()
        conserved.append(dynamics.conserved)
        total.append(dynamics.state.total_energy[0])
    assert np.ptp(total) > 1.0
    assert np.ptp(conserved) < 0.05
    assert _thermostat("langevin", lennard_jones(), 108, 2.0, TEMPERATURE).conserved is None


def test_atoms_at_rest_cannot_be_rescaled() -> None:
    with pytest.raises(ConfigError, match="cannot warm atoms at rest"):
        _thermostat("bussi", lennard_jones(), 108, 2.0, 0.0)


@pytest.mark.parametrize("name", MAKE)
def test_memory_brings_the_random_numbers_back(name: str) -> None:
    first = _thermostat(name, lennard_jones(), 108, 2.0, TEMPERATURE)
    for _ in range(5):
        first.step()
    wrapped = Resumable(lennard_jones())
    second = MAKE[name](first.state, wrapped, 2.0, TEMPERATURE, 99, memory=first.memory)
    for dynamics in (first, second):
        for _ in range(5):
            dynamics.step()
    assert np.array_equal(first.state.momenta, second.state.momenta)
    assert first.conserved == second.conserved
