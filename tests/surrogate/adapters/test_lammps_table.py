"""Tables in a real LAMMPS: against its own pair styles, the potential itself, and finite differences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hydrasurr.errors import HydrasurrError
from hydrasurr.models.pair_mlp import PairMLP, PairSpec
from hydrasurr.surrogate.adapters.lammps_library import start_lammps
from hydrasurr.surrogate.adapters.lammps_table import write_table
from hydrasurr.surrogate.potentials.born import Born
from hydrasurr.surrogate.potentials.contract import Sum
from hydrasurr.surrogate.potentials.guard import RadialGuard
from hydrasurr.surrogate.potentials.lammps_file import read_lammps_table
from hydrasurr.surrogate.potentials.lennard_jones import LennardJones
from hydrasurr.surrogate.potentials.pair_mlp import PairNetwork
from hydrasurr.surrogate.potentials.pairwise import PairPotential
from hydrasurr.surrogate.potentials.table import Table
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
from tests.surrogate.adapters.test_lammps_external import BENCH
from tests.surrogate.potentials.differences import Call, check_forces, check_virial
from tests.surrogate.potentials.structures import every_kind, lattice

KINDS = every_kind()


def tabulated(potential: PairPotential, path: Path) -> Call:
    """LAMMPS with a table of this potential, as a function."""
    return as_function(lambda lmp, elements: lmp.commands_string(write_table(path, potential, elements)))


@pytest.mark.parametrize(
    ("style", "points", "tolerance"), [("spline", 2000, 1e-7), ("spline", 4000, 1e-8), ("linear", 20_000, 2e-6)]
)
def test_a_table_of_lennard_jones_is_lj_cut(style: str, points: int, tolerance: float, tmp_path: Path) -> None:
    results = []
    lines = write_table(tmp_path / "ar.table", argon(), ["Ar"], points=points, style=style)
    for forces in (LJ_CUT, lines):
        with running(warm_crystal(), forces, "fix ensemble all nve\nrun 0") as lmp:
            at_start = sorted_by_tag(lmp, "f"), thermo(lmp, "pe", "press", "pxx", "pxy")
            lmp.command("run 100")
            results.append((*at_start, sorted_by_tag(lmp, "x"), thermo(lmp, "etotal", "press")))
    own, table = results
    largest = np.abs(own[0]).max()
    np.testing.assert_allclose(table[0], own[0], rtol=0, atol=tolerance * largest)
    np.testing.assert_allclose(table[1], own[1], rtol=10 * tolerance)
    np.testing.assert_allclose(table[2], own[2], rtol=0, atol=1e3 * tolerance)
    np.testing.assert_allclose(table[3], own[3], rtol=100 * tolerance)


@pytest.mark.parametrize("kind", ["triclinic", "slab", "cluster", "small cell"])
def test_finite_differences(kind: str, tmp_path: Path) -> None:
    table = tabulated(argon(shift=True), tmp_path / "ar.table")
    check_forces(table, KINDS[kind], sample=6)
    check_virial(table, KINDS[kind])


@pytest.mark.parametrize("types", [("Na", "Cl"), ("Cl", "Na")])
def test_every_pair_of_elements(types: tuple[str, str], tmp_path: Path) -> None:
    """Whatever the order of the atom types, and with two types of one element."""
    potential, crystal = Born(cutoff=7.0), lattice(4, 2.8, (11, 17), jitter=0.2)
    lines = write_table(tmp_path / "salt.table", potential, [*types, "Na"])
    assert lines.count("pair_coeff") == 6
    assert set(read_lammps_table(tmp_path / "salt.table")) == {"Na-Na", "Na-Cl", "Cl-Cl"}

    def use(lmp, elements: list[str]) -> None:
        lmp.commands_string(write_table(tmp_path / "two.table", potential, elements))

    state = crystal.numbers, crystal.positions, crystal.cell[0], crystal.pbc[0]
    for found, expected in zip(as_function(use)(*state), potential(*state), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)


def test_the_benchmark_of_lammps(tmp_path: Path) -> None:
    """bench/in.lj, 32,000 atoms in reduced units: the first line of its log."""
    potential = LennardJones(1.0, 1.0, 2.5, shift=False)
    with running(BENCH, write_table(tmp_path / "lj.table", potential, ["Ar"], units="lj"), "run 0") as lmp:
        found = thermo(lmp, "temp", "pe", "etotal", "press")
    np.testing.assert_allclose(found, [1.44, -6.7733681, -4.6134356, -5.0197073], rtol=2e-8)


@pytest.mark.parametrize("units", ["metal", "real"])
def test_lammps_converts_units(units: str, tmp_path: Path) -> None:
    lines = write_table(tmp_path / "ar.table", argon(), ["Ar"], units=units)
    with running(warm_crystal(units="real"), lines, "run 0") as real, running(warm_crystal(), LJ_CUT, "run 0") as metal:
        forces = sorted_by_tag(metal, "f") * 23.060548
        np.testing.assert_allclose(sorted_by_tag(real, "f"), forces, rtol=0, atol=1e-6 * np.abs(forces).max())


@pytest.mark.parametrize(("format", "tolerance"), [("fp64", 1e-7), ("int4", 1e-5)])
def test_pair_networks(format: str, tolerance: float, tmp_path: Path) -> None:
    """Tables of networks, one for each pair of elements, in numbers of 64 and of 4 bits."""
    torch.manual_seed(0)
    spec = PairSpec(elements=(11, 17), cutoff=7.0, r_min=(2.0, 1.8, 2.2), force_scale=3.0, switch=1.0)
    potential, crystal = PairNetwork(PairMLP(spec), format), lattice(4, 2.8, (11, 17), jitter=0.3)
    state = crystal.numbers, crystal.positions, crystal.cell[0], crystal.pbc[0]
    results = zip(tabulated(potential, tmp_path / "salt.table")(*state), potential(*state), strict=True)
    for found, expected in results:
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


class Inconsistent(PairPotential):
    """As many learned potentials: a force, and an energy that has nothing to do with it."""

    cutoff = 6.0

    def radial(self, distance, first, second):
        force = torch.exp(-distance) - 0.01 * (distance - self.cutoff) ** 2
        return torch.zeros_like(distance), force


def test_energy_is_the_integral_of_the_force(tmp_path: Path) -> None:
    write_table(tmp_path / "made.table", Inconsistent(), ["Ar"], inner=1.0, points=500)
    rows = np.genfromtxt(tmp_path / "made.table", skip_header=8)
    assert rows.shape == (500, 4)
    _, distance, energy, force = rows.T
    x = 6 - distance
    np.testing.assert_allclose(distance[[0, -1]], [1, 6])
    np.testing.assert_allclose(energy, np.exp(-distance) - np.exp(-6) - 0.01 * x**3 / 3, rtol=0, atol=1e-13)
    np.testing.assert_allclose(force, np.exp(-distance) - 0.01 * x**2, rtol=0, atol=1e-15)
    table = tabulated(Inconsistent(), tmp_path / "made.table")
    check_forces(table, KINDS["small cell"], sample=6)


def test_below_the_range_of_training_the_guard_goes_on(tmp_path: Path) -> None:
    """Two atoms pushed together, below r_min and then below the table."""
    potential = RadialGuard(argon(), r_min=3.2)
    table = tabulated(potential, tmp_path / "ar.table")
    cell, pbc = np.eye(3) * 30, np.ones(3, bool)
    for distance in (3.5, 2.9, 2.0, 1.0):
        positions = np.array([[5.0, 5, 5], [5 + distance, 5, 5]])
        energy, forces, _ = table(np.array([18, 18]), positions, cell, pbc)
        expected = potential([18, 18], positions, cell, pbc)
        assert energy == pytest.approx(expected[0], rel=1e-6)
        np.testing.assert_allclose(forces, expected[1], rtol=1e-5, atol=1e-12)
    positions[1, 0] = 5.5
    with pytest.raises(Exception, match="Pair distance < table inner cutoff"):
        table(np.array([18, 18]), positions, cell, pbc)


def test_lammps_finds_force_and_energy_consistent(tmp_path: Path) -> None:
    """It warns of values that do not fit, except at an inflection of the energy."""
    lines = write_table(tmp_path / "salt.table", Born(cutoff=8.0), ["Na", "Cl"], inner=1.5)
    log = tmp_path / "log"
    lmp = start_lammps("-log", str(log), "-screen", "none")
    lmp.commands_string("units metal\nregion box block 0 20 0 20 0 20\ncreate_box 2 box\nmass * 1\n" + lines + "run 0")
    lmp.close()
    warnings = [line for line in log.read_text().splitlines() if "force values in table" in line]
    assert all(line.split()[1] in "12" for line in warnings), warnings


def test_the_file_says_how_to_use_it_and_our_reader_takes_it(tmp_path: Path) -> None:
    path = tmp_path / "a folder" / "ar.table"
    path.parent.mkdir()
    lines = write_table(path, argon(), ["Ar"])
    commented = [line[2:] for line in path.read_text().splitlines() if line.startswith("# ")]
    assert commented == ["UNITS: metal", "use with:", *lines.splitlines()]
    with running(warm_crystal(), lines, "run 0") as lmp:
        assert lmp.get_thermo("pe") < 0
    distance, number = torch.linspace(3.0, CUTOFF, 1000, dtype=torch.float64), torch.full((1000,), 18)
    for found, expected in zip(
        Table.from_lammps(path).radial(distance, number, number), argon().radial(distance, number, number), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_what_no_table_can_hold(tmp_path: Path) -> None:
    path = tmp_path / "x.table"
    with pytest.raises(HydrasurrError, match=r"a Sum is no pair potential.*hybrid/overlay"):
        write_table(path, Sum([argon(), argon()]), ["Ar"])
    with pytest.raises(HydrasurrError, match="no style 'splin' of a LAMMPS table; did you mean 'spline'"):
        write_table(path, argon(), ["Ar"], style="splin")
    with pytest.raises(HydrasurrError, match="no units 'si' of a LAMMPS table"):
        write_table(path, argon(), ["Ar"], units="si")
    with pytest.raises(HydrasurrError, match="no element 'Xy'"):
        write_table(path, argon(), ["Xy"])
    with pytest.raises(HydrasurrError, match=r"inner 9.0 must lie between 0 and the cutoff 8.5"):
        write_table(path, argon(), ["Ar"], inner=9.0)
    with pytest.raises(HydrasurrError, match="needs the elements of the atom types"):
        write_table(path, argon(), [])
    assert not path.exists()
