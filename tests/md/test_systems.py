"""Systems to begin with have the numbers, densities and distances they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.md.systems import fcc, liquid_argon, read_structure, rocksalt, small_molecule

AMU_G = 1.66053906660e-24


@given(atoms=st.integers(1, 3000), density=st.floats(0.1, 3.0), seed=st.integers(0, 9))
def test_liquid_argon_has_its_atoms_and_density(atoms: int, density: float, seed: int) -> None:
    argon = liquid_argon(atoms, density, seed=seed)
    assert argon.get_chemical_formula() == ("Ar" if atoms == 1 else f"Ar{atoms}") and argon.pbc.all()
    mass = argon.get_masses().sum() * AMU_G
    assert mass / (argon.get_volume() * 1e-24) == pytest.approx(density, rel=1e-6)
    places = argon.get_scaled_positions()
    assert len(np.unique(places.round(9), axis=0)) == atoms


def test_a_molecule_by_name() -> None:
    ethanol = small_molecule("CH3CH2OH")
    assert ethanol.get_chemical_formula() == "C2H6O" and not ethanol.pbc.any()
    with pytest.raises(ConfigError, match=r"no molecule 'CH3CH3OH' in ase\.build; did you mean"):
        small_molecule("CH3CH3OH")


@pytest.mark.parametrize(("atoms", "empty"), [(864, 0), (4000, 0), (6078, 258)])
def test_the_lattice_is_spread_over_the_cube(atoms: int, empty: int) -> None:
    """Neighbours are as near as in an fcc crystal of as many sites, or a little nearer where cells are not cubes."""
    argon = liquid_argon(atoms)
    edge = argon.cell[0, 0]
    nearest = neighbor_list("d", argon, 5.0).min()
    crystal = edge * (4 / (atoms + empty)) ** (1 / 3) / np.sqrt(2)
    assert nearest == pytest.approx(crystal, rel=1e-9 if not empty else 0.05)
    octants = np.unique((argon.get_scaled_positions() > 0.5) @ [1, 2, 4], return_counts=True)[1]
    assert len(octants) == 8 and np.ptp(octants) < 0.1 * octants.mean()


def test_rahmans_argon_has_the_cell_of_his_paper() -> None:
    """L = 10.229 sigma with sigma = 3.4 Angstrom, and 1.6747e-24 g for a unit of atomic mass."""
    as_then = (1.6747e-24 / AMU_G) ** (1 / 3)
    assert liquid_argon().cell[0, 0] * as_then / 3.4 == pytest.approx(10.229, abs=1e-3)


def test_random_argon_keeps_apart() -> None:
    argon = liquid_argon(108, arrangement="random", seed=3)
    spacing = (argon.get_volume() / 108) ** (1 / 3)
    assert neighbor_list("d", argon, 6.0).min() >= 0.8 * spacing
    assert np.array_equal(argon.positions, liquid_argon(108, arrangement="random", seed=3).positions)
    assert not np.array_equal(argon.positions, liquid_argon(108, arrangement="random", seed=4).positions)


def test_crystals() -> None:
    salt = rocksalt(cells=(3, 3, 2))
    assert salt.get_chemical_formula() == "Cl72Na72"
    assert salt.get_volume() == pytest.approx(5.6402**3 * 18)
    first, second, distance = neighbor_list("ijd", salt, 2.9)
    assert np.allclose(distance, 5.6402 / 2) and (salt.numbers[first] != salt.numbers[second]).all()
    assert np.all(np.bincount(first) == 6)
    assert fcc("Ar").cell[0, 0] == 5.26 and len(fcc("Cu", 3.6, (2, 2, 2))) == 32


def test_what_cannot_be_built(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no element 'Arg'; did you mean 'Ar'"):
        fcc("Arg")
    with pytest.raises(ConfigError, match="Na has no fcc lattice constant of its own"):
        fcc("Na")
    with pytest.raises(ConfigError, match="no arrangement 'random_'; did you mean 'random'"):
        liquid_argon(arrangement="random_")
    with pytest.raises(ConfigError, match="both must be above 0"):
        liquid_argon(0)
    with pytest.raises(HydrasurrError, match="no structure file"):
        read_structure(tmp_path / "none.xyz")
    (tmp_path / "bad.xyz").write_text("this is no structure\n")
    with pytest.raises(HydrasurrError, match=r"ASE cannot read a structure from '.*bad.xyz'"):
        read_structure(tmp_path / "bad.xyz")
    (tmp_path / "one.xyz").write_text("1\n\nAr 0 0 0\n")
    with pytest.raises(HydrasurrError, match="holds no structure number 3"):
        read_structure(tmp_path / "one.xyz", 3)
