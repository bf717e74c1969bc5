"""Tabulated potentials: what they interpolate, that they conserve energy, and LAMMPS' files."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import CubicHermiteSpline

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.surrogate.adapters.lammps_table import write_table
from hydrasurr.surrogate.potentials import Born, LennardJones, Table
from tests.surrogate.potentials.differences import check_forces, check_virial
from tests.surrogate.potentials.structures import every_kind

ARGON = LennardJones(0.0104, 3.4, 7.5)
SALT_PAIRS = ("Na-Na", "Na-Cl", "Cl-Cl")


def radial(table: Table, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    numbers = torch.full((len(distance),), 18)
    return tuple(column.numpy() for column in table.radial(torch.from_numpy(distance), numbers, numbers))


@st.composite
def any_table(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances, energies and forces that have nothing to do with each other."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(2, 20))
    even = draw(st.booleans())
    grid = np.linspace(2, 7, count) if even else np.sort(random.uniform(2, 7, count)) + np.arange(count) * 1e-3
    return grid, random.normal(size=count), random.normal(size=count)


@given(any_table())
def test_interpolates_as_cubic_hermite_polynomials(numbers: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    grid, energy, force = numbers
    table, reference = Table(grid, {"Ar-Ar": energy}, {"Ar-Ar": force}), CubicHermiteSpline(grid, energy, -force)
    inside = np.concatenate([grid, np.linspace(grid[0], grid[-1], 101)])
    found = radial(table, inside)
    np.testing.assert_allclose(found[0], reference(inside), rtol=0, atol=1e-9 * np.abs(energy).max() + 1e-9)
    middle = (inside[len(grid) :][1:] + inside[len(grid) :][:-1]) / 2
    np.testing.assert_allclose(radial(table, middle)[1], -reference(middle, 1), rtol=1e-7, atol=1e-7)


@given(any_table())
def test_force_is_the_derivative_of_energy_everywhere(numbers: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """Work along a path equals the change of energy, also below the first distance, where the force is straight."""
    grid, energy, force = numbers
    table = Table(grid, {"Ar-Ar": energy}, {"Ar-Ar": force})
    nodes, weights = np.polynomial.legendre.leggauss(3)
    for low, high in pairwise([0.5, 1.0, *grid]):
        middle, half = (low + high) / 2, (high - low) / 2
        work = half * (weights * radial(table, middle + half * nodes)[1]).sum()
        ends, _ = radial(table, np.array([low, high]))
        assert ends[0] - ends[1] == pytest.approx(work, rel=1e-9, abs=1e-9 * np.abs(energy).max())


def test_goes_on_straight_below_the_first_distance() -> None:
    table = Table.from_potential(ARGON, ("Ar-Ar",), inner=3.0)
    _, force = radial(table, np.array([2.0, 2.5, 3.0, 3.0 + 1e-7]))
    assert force[0] - force[1] == pytest.approx(force[1] - force[2]) and force[0] > force[2] > 0
    assert force[2] == pytest.approx(force[3], abs=1e-5)


@pytest.mark.parametrize("kind", ["triclinic", "slab", "batch"])
def test_forces_and_virial_are_derivatives_of_the_energy(kind: str) -> None:
    systems = every_kind(2.8, (11, 17))[kind]
    table = Table.from_potential(Born(cutoff=7.0), SALT_PAIRS, inner=1.5, points=200)
    check_forces(table, systems, sample=15)
    check_virial(table, systems)


def test_of_a_potential_is_that_potential() -> None:
    systems = every_kind(2.8, (11, 17))["batch"]
    exact = Born(cutoff=7.0).evaluate(systems)
    found = Table.from_potential(Born(cutoff=7.0), SALT_PAIRS, inner=1.2, points=4000).evaluate(systems)
    for name, value in vars(exact).items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=0, atol=1e-7)


@pytest.mark.parametrize("units", ["metal", "real"])
def test_reads_what_is_written_for_lammps(tmp_path: Path, units: str) -> None:
    systems = every_kind(2.8, (11, 17))["triclinic"]
    write_table(tmp_path / "nacl.table", Born(cutoff=7.0), ["Na", "Cl"], inner=1.2, units=units)
    exact, found = (p.evaluate(systems) for p in (Born(cutoff=7.0), Table.from_lammps(tmp_path / "nacl.table")))
    for name, value in vars(exact).items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=0, atol=1e-7)


FILE = """# made by hand

MINE
N 3 R 1.0 2.0 FPRIME -1.0 -1.0

1 1.00001 2.0 3.0
2 1.5 1.0 2.0  # a remark
3 2.0 0.0 0.0

OTHER
N 2

1 1.0 2.0 0.5
2 3.0 1.0 0.5
"""


def test_pairs_of_elements_in_any_order() -> None:
    numbers = {"Na-Cl": [1.0, 0.0], "Na-Na": [2.0, 0.0]}
    one = Table([1.0, 2.0], numbers, numbers)
    other = Table([1.0, 2.0], numbers, dict(reversed(numbers.items())))
    ions = [11, 11, 17], [[0, 0, 0], [1.5, 0, 0], [0, 1.5, 0]]
    np.testing.assert_array_equal(one(*ions)[1], other(*ions)[1])


@pytest.mark.parametrize("pairs", [("Ar",), "Ar-Ar", ("Ar-Ar-Ar",), ()])
def test_a_potential_is_tabulated_for_pairs_of_elements(pairs: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="no pair of elements"):
        Table.from_potential(LennardJones(0.01, 3.4, 8.0), pairs, 2.0)


def test_reads_sections_by_name(tmp_path: Path) -> None:
    path = tmp_path / "two.table"
    path.write_text(FILE)
    table = Table.from_lammps(path, {"Ar-Ar": "MINE"})
    assert table.cutoff == 2.0
    energy, force = radial(table, np.array([1.0, 1.5, 2.0]))
    np.testing.assert_allclose(energy, [2, 1, 0], atol=1e-12)
    np.testing.assert_allclose(force, [3, 2, 0], atol=1e-12)
    assert Table.from_lammps(path, {"Ar-Ar": "OTHER"}).cutoff == 3.0
    with pytest.raises(HydrasurrError, match="no section 'THIRD'; it has MINE, OTHER"):
        Table.from_lammps(path, {"Ar-Ar": "THIRD"})
    with pytest.raises(HydrasurrError, match="must have the same distances"):
        Table.from_lammps(path, {"Ar-Ar": "MINE", "Ar-Kr": "OTHER"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no table"),
        ("# UNITS: lj\n" + FILE, "no conversion from units 'lj'"),
        (FILE.replace("N 3 R 1.0 2.0", "M 3"), "line 4: expected parameters"),
        (FILE.replace("R 1.0 2.0", "BITMAP 4 4"), "line 4: BITMAP is not supported"),
        (FILE.replace("1.5 1.0", "1.5 x"), "line 7: expected index, distance, energy and force"),
        (FILE.replace("N 2", "N 20"), "'OTHER' has 2 rows; expected 20"),
        (FILE.replace("OTHER", "MINE"), "line 10: the section 'MINE' is there twice"),
    ],
)
def test_errors_of_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.table"
    path.write_text(text)
    with pytest.raises(HydrasurrError, match=message):
        Table.from_lammps(path, {"Ar-Ar": "MINE"})
    with pytest.raises(HydrasurrError, match="cannot read"):
        Table.from_lammps(tmp_path / "missing")


@pytest.mark.parametrize(
    ("grid", "energy", "force", "message"),
    [
        ([1.0], {"Ar-Ar": [1]}, {"Ar-Ar": [1]}, "two or more increasing"),
        ([2.0, 1.0], {"Ar-Ar": [1, 2]}, {"Ar-Ar": [1, 2]}, "two or more increasing"),
        ([1.0, 2.0], {"Ar-Ar": [1, 2, 3]}, {"Ar-Ar": [1, 2]}, "needs 2 finite energies"),
        ([1.0, 2.0], {"Ar-Ar": [1, 2]}, {"Ar-Ar": [1, np.nan]}, "needs 2 finite energies"),
        ([1.0, 2.0], {"Ar-Ar": [1, 2]}, {"Ar-Kr": [1, 2]}, "energies are for the pairs Ar-Ar, forces for Ar-Kr"),
    ],
)
def test_errors_of_arrays(grid: list, energy: dict, force: dict, message: str) -> None:
    with pytest.raises(HydrasurrError, match=message):
        Table(grid, energy, force)
