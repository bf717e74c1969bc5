"""LAMMPS and the integrators here, as one engine."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from hydrasurr.errors import HydrasurrError
from hydrasurr.graphs.systems import Systems
from hydrasurr.md.engines import Engine, LammpsEngine, OwnEngine, choose_engine
from hydrasurr.md.state import State, begin
from hydrasurr.md.systems import ARGON_EPSILON_EV, ARGON_SIGMA
from hydrasurr.surrogate.potentials.contract import Evaluation
from tests.md.small_argon import Springs, argon_state, lennard_jones
from tests.runs import ROOT, environment

STYLE = f"pair_style lj/cut 6.0\npair_coeff 1 1 {ARGON_EPSILON_EV:.17g} {ARGON_SIGMA}\npair_modify shift yes\n"


def far_away() -> State:
    """Atoms that have wandered into other cells, as after a long run."""
    state = argon_state(lennard_jones())
    edge = state.systems.cell[0, 0, 0]
    cells = np.random.default_rng(0).integers(-3, 4, (108, 3))
    systems = replace(state.systems, positions=state.systems.positions + edge * cells)
    return begin(systems, lennard_jones(), state.momenta, state.masses)


def test_both_go_the_same_way_from_wherever_atoms_are() -> None:
    state = far_away()
    with LammpsEngine(state, STYLE, 1.0) as lammps, OwnEngine(state, lennard_jones(skin=1.0), 1.0) as own:
        for step in (0, 50, 100):
            for engine in (lammps, own):
                engine.run(50 if step else 0)
            theirs, ours = lammps.frame(step), own.frame(step)
            assert theirs.step == step and theirs.time_ps == pytest.approx(step / 1000)
            for name in ("velocities", "forces", "stress"):
                assert np.allclose(getattr(ours, name), getattr(theirs, name), atol=1e-7), name
            assert np.allclose(ours.systems.positions, theirs.systems.positions, atol=1e-6)
            assert ours.energy == pytest.approx(theirs.energy, rel=1e-7)


def engine(name: str) -> Engine:
    state = argon_state(lennard_jones())
    return LammpsEngine(state, STYLE, 2.0) if name == "lammps" else OwnEngine(state, lennard_jones(skin=1.0), 2.0)


def total_energy(engine: Engine) -> float:
    frame = engine.frame(0)
    return frame.energy + frame.to_ase().get_kinetic_energy()


@pytest.mark.parametrize("name", ["lammps", "own"])
def test_the_heat_bath_comes_and_goes(name: str) -> None:
    with engine(name) as run:
        run.heat_bath(90.0, seed=3)
        run.run(500)
        warm = []
        for _ in range(100):
            run.run(10)
            warm.append(run.frame(0).to_ase().get_kinetic_energy())
        assert np.mean(warm) == pytest.approx(1.5 * 107 * 8.617333e-5 * 90, rel=0.05)
        run.heat_bath(None)
        before = total_energy(run)
        run.run(500)
        assert total_energy(run) == pytest.approx(before, abs=2e-3 * np.ptp(warm) + 1e-3)


def test_what_lammps_says_reaches_the_user() -> None:
    state = argon_state(lennard_jones())
    with pytest.raises(HydrasurrError, match="LAMMPS stopped: .*pair_style lj/cutt"):
        LammpsEngine(state, "pair_style lj/cutt 6.0", 1.0)
    slanted = replace(state.systems, cell=state.systems.cell + np.array([[0, 0.1, 0], [0, 0, 0], [0, 0, 0]]))
    with pytest.raises(HydrasurrError, match="a box with right angles"):
        LammpsEngine(replace(state, systems=slanted), STYLE, 1.0)
    with pytest.raises(HydrasurrError, match="LAMMPS stopped"), LammpsEngine(state, STYLE, 1e5) as run:
        run.run(200)  # atoms fly through each other, and LAMMPS loses them


def test_energies_that_are_no_numbers_are_told() -> None:
    """Also after the last step."""

    class Bottomless(Springs):
        """Springs with a hole where atoms have been pushed to."""

        def evaluate(self, systems: Systems) -> Evaluation:
            found = super().evaluate(systems)
            still = np.array_equal(systems.positions, self.places)
            return found if still else replace(found, energy=found.energy - np.inf)

    state = argon_state(lennard_jones())
    with (
        OwnEngine(state, Bottomless(state.systems.positions, 1.0), 1.0) as run,
        pytest.raises(HydrasurrError, match="fallen apart"),
    ):
        run.run(1)


def test_ctrl_c_is_heard_while_lammps_runs() -> None:
    code = (
        "from tests.md.test_engines import *\n"
        "with LammpsEngine(argon_state(lennard_jones()), STYLE, 1.0) as run:\n"
        "    print('begun', flush=True)\n"
        "    run.run(10**8)\n"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment(), text=True, **pipes)
    try:
        assert process.stdout.readline() == "begun\n", process.stderr.read()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert "KeyboardInterrupt" in errors


def test_lammps_is_chosen_where_it_is() -> None:
    assert choose_engine() == "lammps" and choose_engine("own") == "own"
