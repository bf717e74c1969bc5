"""Velocity Verlet against ASE and LAMMPS, and the properties it must have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet

from hydrasurr.errors import StructureError
from hydrasurr.graphs.systems import Systems, join
from hydrasurr.md.analysis import energy_drift
from hydrasurr.md.dynamics import NVE, frames
from hydrasurr.md.integrate import velocity_verlet
from hydrasurr.md.resumable import Resumable
from hydrasurr.md.state import State, begin
from hydrasurr.surrogate.adapters.ase import HydrasurrCalculator
from hydrasurr.surrogate.adapters.lammps_library import start_lammps
from hydrasurr.surrogate.potentials.contract import Potential
from tests.md.small_argon import Springs, argon_state, lennard_jones


def _go(state: State, potential: Potential, steps: int, timestep_fs: float = 2.0) -> State:
    for _ in range(steps):
        state = velocity_verlet(state, potential, timestep_fs)
    return state


def _to_ase(state: State) -> Atoms:
    systems = state.systems
    atoms = Atoms(systems.numbers, systems.positions, cell=systems.cell[0], pbc=True, masses=state.masses)
    atoms.set_momenta(state.momenta)
    return atoms


def test_the_same_steps_as_ase() -> None:
    state = argon_state(lennard_jones())
    atoms = _to_ase(state)
    atoms.calc = HydrasurrCalculator(lennard_jones())
    reference = VelocityVerlet(atoms, 2.0 * units.fs)
    potential = lennard_jones()
    for _ in range(100):
        state = velocity_verlet(state, potential, 2.0)
        reference.run(1)
        assert np.abs(state.systems.positions - atoms.positions).max() < 1e-10
        assert np.abs(state.velocities - atoms.get_velocities() * units.fs).max() < 1e-10
    assert np.isclose(state.kinetic_energy[0], atoms.get_kinetic_energy(), rtol=1e-12)


def test_the_same_steps_as_lammps() -> None:
    """To the digits that the constants of LAMMPS' metal units allow: its kB is that of 1998."""
    potential = lennard_jones()
    state = argon_state(potential)
    edge, velocities = state.systems.cell[0, 0, 0], state.velocities * 1000
    lmp = start_lammps()
    lmp.commands_string(
        f"""
units metal
atom_modify map yes
region box block 0 {edge:.17g} 0 {edge:.17g} 0 {edge:.17g}
create_box 1 box
mass 1 39.948
pair_style lj/cut 6.0
pair_coeff 1 1 {potential.epsilon:.17g} {potential.sigma}
pair_modify shift yes
timestep 0.002
fix move all nve
"""
    )
    flat = [array.ravel().tolist() for array in (state.systems.positions, velocities)]
    lmp.create_atoms(108, list(range(1, 109)), [1] * 108, *flat)
    lmp.command("run 100")
    after = _go(state, potential, 100)
    theirs = np.array(lmp.gather_atoms("x", 1, 3)).reshape(-1, 3)
    away = after.systems.positions - theirs
    away -= edge * np.round(away / edge)
    assert np.abs(after.systems.positions - state.systems.positions).max() > 0.5  # they did move
    assert np.abs(away).max() < 1e-5
    assert lmp.get_thermo("pe") == pytest.approx(after.result.energy[0], rel=1e-6)
    assert lmp.get_thermo("temp") == pytest.approx(after.temperature[0], rel=2e-5)
    assert lmp.get_thermo("press") == pytest.approx(after.pressure[0], rel=1e-4)
    lmp.close()


def test_it_goes_back_the_way_it_came() -> None:
    potential = lennard_jones()
    begun = argon_state(potential)
    there = _go(begun, potential, 200)
    back = _go(replace(there, momenta=-there.momenta), potential, 200)
    assert np.abs(there.systems.positions - begun.systems.positions).max() > 0.5
    assert np.abs(back.systems.positions - begun.systems.positions).max() < 1e-9
    assert np.abs(back.momenta + begun.momenta).max() < 1e-9


def test_the_error_is_of_second_order() -> None:
    """On a harmonic oscillator, whose path is known: a quarter of the error with half the step."""
    places = np.zeros((2, 3))
    potential = Springs(places, 1.0)
    systems = Systems.single([18, 18], [[0.1, 0.0, 0.0], [0.0, -0.2, 0.0]])
    state = begin(systems, potential)
    omega = np.sqrt(1.0 / 39.948) * units.fs  # per fs

    def error(timestep_fs: float) -> float:
        steps = round(200 / timestep_fs)
        after = _go(state, potential, steps, timestep_fs)
        return np.abs(after.systems.positions - systems.positions * np.cos(omega * 200)).max()

    assert error(4.0) / error(2.0) == pytest.approx(4, rel=0.02)
    assert error(1.0) < 1e-5


def test_energy_and_momentum_stay() -> None:
    potential = lennard_jones(cutoff=7.5, skin=1.0)
    dynamics = NVE(argon_state(potential, 256), potential, 2.0)
    energies, times = [], []
    for frame in frames(dynamics, 2000, 10):
        energies.append(dynamics.conserved)
        times.append(frame.time_ps)
    drift = energy_drift(np.array(times[20:]), np.array(energies[20:]), 256)
    assert abs(drift.mean) < 0.05  # meV/atom/ps
    assert np.ptp(energies) / 256 < 2e-4  # eV; the kinetic energy changes by a hundred times more
    assert np.abs(dynamics.state.momenta.sum(0)).max() < 1e-11


@pytest.mark.parametrize("skin", [0.3, 1.0, 2.5])
def test_a_skin_changes_nothing(skin: float) -> None:
    """Whatever the skin, also of a list that is searched again under control of the run."""
    bare, skinned = lennard_jones(), Resumable(lennard_jones(skin=skin))
    expected, state = argon_state(bare, temperature_K=300), argon_state(skinned, temperature_K=300)
    for _ in range(150):
        expected, state = velocity_verlet(expected, bare, 2.0), velocity_verlet(state, skinned, 2.0)
        assert np.abs(state.systems.positions - expected.systems.positions).max() < 1e-9
    assert skinned.anchor is not None and np.abs(skinned.anchor - state.systems.positions).max() < skin


def test_wrapping_changes_nothing() -> None:
    """Atoms moved by cell vectors, before the run and in its midst, go the same way; positions are never wrapped."""
    plain, moved = lennard_jones(skin=1.0), lennard_jones(skin=1.0)
    expected = argon_state(plain, temperature_K=300)
    edge = expected.systems.cell[0, 0, 0]
    shift = edge * np.random.default_rng(0).integers(-2, 3, (108, 3))
    state = replace(expected, systems=replace(expected.systems, positions=expected.systems.positions + shift))
    for step in range(150):
        expected, state = velocity_verlet(expected, plain, 2.0), velocity_verlet(state, moved, 2.0)
        if step == 75:
            wrapped = state.systems.positions % edge
            assert (wrapped != state.systems.positions).any()
            shift = shift + wrapped - state.systems.positions
            state = replace(state, systems=replace(state.systems, positions=wrapped))
    assert np.abs(state.systems.positions - shift - expected.systems.positions).max() < 1e-9


def test_several_systems_move_as_if_alone() -> None:
    potential = lennard_jones()
    states = [argon_state(potential, atoms, seed=atoms) for atoms in (108, 256)]
    both = begin(
        join([state.systems for state in states]),
        potential,
        np.concatenate([state.momenta for state in states]),
    )
    after = _go(both, potential, 20)
    for s, state in enumerate(states):
        alone = _go(state, lennard_jones(), 20)
        assert np.allclose(after.systems[s].positions, alone.systems.positions, rtol=0, atol=1e-11)
        for name in ("kinetic_energy", "total_energy", "temperature", "pressure"):
            assert getattr(after, name)[s] == pytest.approx(getattr(alone, name)[0], rel=1e-9)


def test_what_cannot_move_is_refused() -> None:
    systems = Systems.single([18, 18], [[0, 0, 0], [0, 0, 4]])
    with pytest.raises(StructureError, match="a mass above 0"):
        begin(systems, lennard_jones(), masses=[1.0, 0.0])
    with pytest.raises(StructureError, match="momenta must be finite"):
        begin(systems, lennard_jones(), momenta=np.full((2, 3), np.nan))
    with pytest.raises(StructureError, match="no atoms"):
        begin(Systems.single([], np.empty((0, 3))), lennard_jones())
    assert np.isnan(begin(systems, lennard_jones()).pressure[0])
