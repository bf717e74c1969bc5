"""Charges: Madelung constants, NIST's water, a slow Ewald sum, derivatives, and what cannot be summed."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import erf, erfc

from hydrasurr.errors import HydrasurrError, StructureError
from hydrasurr.graphs.systems import Systems, join
from hydrasurr.surrogate.potentials import Coulomb, CoulombFar, CoulombNear, LennardJones, Splitting
from hydrasurr.surrogate.potentials.coulomb import COULOMB
from hydrasurr.surrogate.potentials.damped_shifted import DampedShiftedForce
from tests.surrogate.potentials import nist
from tests.surrogate.potentials.crystals import CRYSTALS
from tests.surrogate.potentials.differences import check_forces, check_virial
from tests.surrogate.potentials.structures import TRICLINIC, lattice

NACL = {11: 1.0, 17: -1.0}
SALT = lattice(4, 2.8, (11, 17), shape=np.eye(3), jitter=0.2)
OBLIQUE_SALT = lattice(4, 2.8, (11, 17), jitter=0.2)


def long_sum(systems: Systems, charges: np.ndarray, alpha: float, waves: int, within: float = np.inf) -> float:
    """The reciprocal part of Ewald's sum in units of COULOMB, wave by wave, as in textbooks; one system.

    Waves are counted up to `waves` along each axis, and only those with fewer than `within` waves squared in all.
    """
    counts = np.stack(np.meshgrid(*[np.arange(-waves, waves + 1)] * 3), -1).reshape(-1, 3)
    squares = (counts**2).sum(1)
    wave = 2 * np.pi * counts[(squares > 0) & (squares < within)] @ np.linalg.inv(systems.cell[0]).T
    square = (wave**2).sum(1)
    structure = np.exp(1j * wave @ systems.positions.T) @ charges
    total = (np.exp(-square / (4 * alpha**2)) / square * np.abs(structure) ** 2).sum()
    return float(2 * np.pi / systems.volume[0] * total)


def self_energy(charges: np.ndarray, alpha: float) -> float:
    return float(-alpha / math.sqrt(math.pi) * (charges**2).sum())


@pytest.mark.parametrize("method", ["ewald", "p3m"])
@pytest.mark.parametrize("name", CRYSTALS)
def test_madelung_constants(name: str, method: str) -> None:
    crystal, length = CRYSTALS[name], 4.0
    potential = Coulomb(crystal.charges, cutoff=9.0, method=method, accuracy=1e-8 if method == "ewald" else 1e-6)
    found = potential.evaluate(crystal.system(length))
    tolerance = 1e-8 if method == "ewald" else 1e-6
    assert found.energy[0] * length / COULOMB == pytest.approx(crystal.energy, abs=tolerance)
    if name != "wurtzite":  # whose ions may move along its axis
        np.testing.assert_allclose(found.forces, 0, atol=1e-6)
    # The energy goes with 1 / length, so the virial's trace is the energy.
    assert np.trace(found.virial[0]) == pytest.approx(found.energy[0], rel=1e-5)


@pytest.mark.parametrize("method", ["ewald", "p3m"])
@pytest.mark.parametrize("kind", ["box", "triclinic", "batch"])
def test_forces_and_virial_are_derivatives_of_the_energy(kind: str, method: str) -> None:
    small = lattice(2, 2.8, (11, 17), jitter=0.2, seed=1)
    cluster = lattice(2, 2.8, (11, 17), pbc=False, jitter=0.2)
    systems = {"box": SALT, "triclinic": OBLIQUE_SALT, "batch": join([small, cluster, OBLIQUE_SALT])}[kind]
    # So fine that nothing is felt of the last waves and of pairs at the cutoff, where the energy jumps.
    potential = Coulomb(NACL, cutoff=7.0, splitting=Splitting(method, 1.1, {"ewald": 1.0, "p3m": 1.5}[method]))
    check_forces(potential, systems, sample=9)
    check_virial(potential, systems, step=1e-4)


@pytest.mark.parametrize("method", ["ewald", "p3m"])
@pytest.mark.parametrize("accuracy", [1e-2, 1e-3, 1e-4, 1e-5])
def test_forces_are_as_accurate_as_asked(method: str, accuracy: float) -> None:
    for systems in (SALT, OBLIQUE_SALT):
        exact = Coulomb(NACL, cutoff=10.0, splitting=Splitting("ewald", 1.5, 1.2)).evaluate(systems)
        found = Coulomb(NACL, cutoff=8.0, method=method, accuracy=accuracy).evaluate(systems)
        assert math.sqrt(((found.forces - exact.forces) ** 2).sum(1).mean()) < accuracy


def test_the_splitting_does_not_matter() -> None:
    results = [
        Coulomb(NACL, cutoff=12.0, splitting=Splitting("ewald", smearing, 1.3)).evaluate(OBLIQUE_SALT)
        for smearing in (1.6, 1.9)
    ]
    for name, value in vars(results[0]).items():
        np.testing.assert_allclose(value, getattr(results[1], name), rtol=0, atol=2e-6)


def test_the_far_part_is_the_textbook_sum() -> None:
    charges, alpha = np.where(OBLIQUE_SALT.numbers == 11, 1.0, -1.0), 0.4
    found = CoulombFar(NACL, Splitting("ewald", 1 / (math.sqrt(2) * alpha), 1.5)).evaluate(OBLIQUE_SALT)
    expected = long_sum(OBLIQUE_SALT, charges, alpha, waves=12) + self_energy(charges, alpha)
    assert found.energy[0] == pytest.approx(COULOMB * expected, abs=1e-8)


def test_nist_water() -> None:
    """SPC/E configuration 1: each part of NIST's Ewald sum, and ours of all charges.

    NIST leaves out pairs within a molecule; here they are in, with their full 1/r.
    """
    sites, positions, box = nist.read("spce_configuration_1.xyz")
    numbers = np.array([{"O": 8, "H": 1}[site] for site in sites])
    charges = {8: -0.8476, 1: 0.4238}
    kilojoule = 1602.176634e-22 * 6.02214076e23 / 1e3 * COULOMB  # per mole, of e^2 / Angstrom
    water, q = Systems.single(numbers, positions, box, True), np.array([charges[z] for z in numbers])
    alpha = 0.28  # 1/Angstrom, with waves of n^2 < 27
    smearing = 1 / (math.sqrt(2) * alpha)

    fourier = long_sum(water, q, alpha, waves=5, within=27)
    own = self_energy(q, alpha)
    assert kilojoule * fourier == pytest.approx(52.1324574151071, rel=1e-7)
    assert kilojoule * own == pytest.approx(-23652.08040365018, rel=1e-7)

    first, second = np.array([(m + a, m + b) for m in range(0, 300, 3) for a, b in ((0, 1), (0, 2), (1, 2))]).T
    within = positions[second] - positions[first]
    within = np.linalg.norm(within - box * np.round(within / box), axis=1)
    screened = (q[first] * q[second] * erf(alpha * within) / within).sum()
    assert kilojoule * screened == pytest.approx(-23363.573774608, rel=1e-7)

    near = CoulombNear(charges, smearing, cutoff=10.0).evaluate(water).energy[0] / COULOMB
    near_between = near - (q[first] * q[second] * erfc(alpha * within) / within).sum()
    oxygen = numbers == 8
    lennard_jones = LennardJones(0.650169581, 3.16555789, 10.0, shift=False)  # kJ/mol
    dispersion = lennard_jones(numbers[oxygen], positions[oxygen], box, True)[0]
    assert dispersion + kilojoule * near_between == pytest.approx(-3819.2497119062596, rel=1e-6)

    total = Coulomb(charges, cutoff=10.0, accuracy=1e-6).evaluate(water).energy[0] / COULOMB
    assert total == pytest.approx(fourier + own + near, rel=1e-6)  # NIST's few waves leave 1e-7 out


def test_clusters_are_summed_over_all_pairs() -> None:
    cluster = lattice(3, 2.8, (11, 17), pbc=False)
    charges = np.where(cluster.numbers == 11, 1.0, -1.0)
    i, j = np.triu_indices(cluster.num_atoms, 1)
    vector = cluster.positions[j] - cluster.positions[i]
    distance = np.linalg.norm(vector, axis=1)
    found = Coulomb(NACL, cutoff=6.0).evaluate(replace(cluster, positions=cluster.positions + 100))
    exact = COULOMB * (charges[i] * charges[j] / distance).sum()

    assert found.energy[0] == pytest.approx(exact, abs=1e-5)  # pairs beyond the cutoff lack erfc


def test_atoms_may_lie_outside_the_cell() -> None:
    moved = OBLIQUE_SALT.positions + np.random.default_rng(3).integers(-2, 3, (64, 3)) @ OBLIQUE_SALT.cell[0]
    for method in ("ewald", "p3m"):
        potential = Coulomb(NACL, cutoff=7.0, method=method, accuracy=1e-4)
        before, after = potential.evaluate(OBLIQUE_SALT), potential.evaluate(replace(OBLIQUE_SALT, positions=moved))
        np.testing.assert_allclose(after.forces, before.forces, rtol=0, atol=1e-10)
        np.testing.assert_allclose(after.virial, before.virial, rtol=0, atol=1e-8)


def test_the_splitting_is_chosen_once() -> None:
    potential = Coulomb(NACL, cutoff=7.0)
    assert potential.splitting is None
    potential.evaluate(SALT)
    chosen = potential.splitting
    potential.evaluate(lattice(2, 3.5, (11, 17), shape=TRICLINIC))
    assert potential.splitting == chosen and potential.near.smearing == chosen.smearing


@pytest.mark.parametrize("method", ["p3m", "ewald"])
def test_clusters_and_empty_cells_do_not_choose_the_splitting(method: str) -> None:
    """Nothing periodic is there whose accuracy could be asked for."""
    potential, fresh = (Coulomb(NACL, cutoff=7.0, method=method, accuracy=1e-5) for _ in range(2))
    potential.evaluate(lattice(2, 2.8, (11, 17), pbc=False))
    assert potential([], np.empty((0, 3)), [9.0] * 3, True)[0] == 0
    assert potential.splitting is None
    np.testing.assert_array_equal(potential.evaluate(SALT).forces, fresh.evaluate(SALT).forces)
    assert potential.splitting == fresh.splitting


def test_ions_at_one_point_are_named() -> None:
    for cell in (None, [9.0] * 3):
        with pytest.raises(StructureError, match=r"\(Na\) and 1 \(Cl\) are 0 Angstrom apart"):
            Coulomb(NACL, cutoff=4.0)([11, 17], [[1, 1, 1], [1, 1, 1]], cell, cell is not None)


def test_near_and_far_are_terms_of_their_own() -> None:
    potential = Coulomb(NACL, cutoff=7.0)
    whole = potential.evaluate(SALT)
    parts = potential.near.evaluate(SALT) + potential.far.evaluate(SALT)
    for name, value in vars(whole).items():
        np.testing.assert_allclose(value, getattr(parts, name), rtol=0, atol=1e-12)
    check_forces(potential.near, SALT, sample=9)
    check_forces(potential.far, SALT, sample=9)
    check_virial(potential.far, SALT, step=1e-4)


@pytest.mark.parametrize(
    ("systems", "message"),
    [
        (Systems.single([11, 17, 17], np.eye(3), [9.0] * 3, True), "net charge of -1 e"),
        (
            join([SALT, Systems.single([11, 17], np.eye(3)[:2], [9.0] * 3, (True, True, False))]),
            "system 1 is periodic in 2",
        ),
        (Systems.single([11, 18], np.eye(3)[:2], [9.0] * 3, True), "no charge is given for Ar"),
    ],
)
def test_what_cannot_be_summed(systems: Systems, message: str) -> None:
    for method in ("ewald", "p3m"):
        with pytest.raises(HydrasurrError, match=message):
            Coulomb(NACL, cutoff=4.0, method=method).evaluate(systems)


def test_errors_of_parameters() -> None:
    with pytest.raises(HydrasurrError, match="by atomic number"):
        Coulomb({})
    with pytest.raises(HydrasurrError, match="by atomic number"):
        Coulomb({"Na": 1, "Cl": -1})
    with pytest.raises(HydrasurrError, match="no method 'pme' to sum charges; did you mean 'p3m'"):
        Coulomb(NACL, method="pme")
    with pytest.raises(HydrasurrError, match="charges must be finite numbers"):
        Coulomb({11: 1, 17: float("nan")})
    with pytest.raises(HydrasurrError, match="cutoff must be a positive number"):
        Coulomb(NACL, cutoff=-1.0)
    with pytest.raises(HydrasurrError, match="accuracy must be a positive number"):
        Coulomb(NACL, accuracy=0.0)
    with pytest.raises(HydrasurrError, match="smearing must be a positive number"):
        CoulombNear(NACL, smearing=-1.0, cutoff=5.0)
    with pytest.raises(HydrasurrError, match="no method 'p3mm' to sum charges; did you mean 'p3m'"):
        Splitting("p3mm", 1.0, 1.0)
    with pytest.raises(HydrasurrError, match="resolution must be a positive number"):
        Splitting("ewald", 1.0, 0.0)
    with pytest.raises(HydrasurrError, match="damping must be 0 or a positive number"):
        DampedShiftedForce(NACL, damping=-0.2)
    with pytest.raises(HydrasurrError, match="cutoff must be a positive number"):
        DampedShiftedForce(NACL, cutoff=0.0)
    with pytest.raises(HydrasurrError, match="reaches an accuracy"):
        Coulomb(NACL, cutoff=3.0, method="p3m", accuracy=1e-12).evaluate(SALT)


def test_without_torch_pme(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("torchpme")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torchpme", None)
    with pytest.raises(HydrasurrError, match=r"pip install 'hydrasurr\[md\]'"):
        Coulomb(NACL).evaluate(SALT)
