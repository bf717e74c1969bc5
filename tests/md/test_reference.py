"""Liquid argon against LAMMPS, Rahman (1964) and the neutrons of Yarnell et al. (1973)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hydrasurr.md.analysis import MSD, RDF
from hydrasurr.md.frame import Frame, paths
from hydrasurr.md.reference import ArgonReference
from hydrasurr.md.systems import ARGON_TEMPERATURE_K
from tests.conftest import SHARED_DATA

YARNELL = SHARED_DATA / "md_reference/yarnell1973_argon_85K_gr_digitised.dat"
RAHMAN = ArgonReference(temperature_K=ARGON_TEMPERATURE_K, timestep_fs=4.0, equilibration_ps=12.0)


@pytest.fixture(scope="module")
def rahman() -> list[Frame]:
    """24 ps of 864 atoms at 94.4 K and 1.374 g/cm3, by LAMMPS."""
    return list(RAHMAN.frames(241, 0.1, "lammps"))


def test_frames_hold_what_the_potential_says(rahman: list[Frame]) -> None:
    assert len(rahman) == 241 and rahman[-1].time_ps == pytest.approx(24.0)
    for frame in rahman[:: len(rahman) // 3]:
        energy, forces, virial = RAHMAN.potential(
            frame.systems.numbers, frame.systems.positions, frame.systems.cell[0], True
        )
        assert frame.energy == pytest.approx(energy, rel=1e-11)
        assert np.allclose(frame.forces, forces, atol=1e-11)
        assert np.allclose(frame.stress, -virial / frame.systems.volume[0], atol=1e-8)
    kinetic = [frame.to_ase().get_kinetic_energy() for frame in rahman]
    total = np.array([frame.energy for frame in rahman]) + kinetic
    assert np.ptp(total) < 0.02 * np.ptp(kinetic)  # constant energy
    moved = np.abs(rahman[-1].systems.positions - rahman[0].systems.positions)
    assert moved.max() > 4 and np.abs(np.diff([f.systems.positions for f in rahman], axis=0)).max() < 2  # unwrapped


def test_the_structure_of_liquid_argon(rahman: list[Frame]) -> None:
    """The first peak lies at 3.7 Angstrom (Rahman), and about 12 to 13 neighbours within the first minimum."""
    rdf = RDF(12.0, 240).compute(rahman[::4])
    assert rdf.first_peak.r == pytest.approx(3.7, abs=0.06)
    assert rdf.first_peak.g == pytest.approx(2.85, abs=0.12)
    assert rdf.first_minimum.r == pytest.approx(5.3, abs=0.15)
    assert rdf.first_minimum.g == pytest.approx(0.61, abs=0.05)
    assert rdf.second_peak.r == pytest.approx(7.05, abs=0.15)
    assert 12 < rdf.coordination_number < 13
    assert np.allclose(rdf.g[rdf.r < 2.9], 0)


def test_the_structure_of_liquid_argon_is_the_measured_one(rahman: list[Frame]) -> None:
    """At 85 K and 0.02125 atoms per cubic Angstrom; the digitised curve is good to 0.03, the model not much worse."""
    if not YARNELL.exists():
        pytest.skip(f"the measured curve is not shipped with the code; looked for '{YARNELL}'")
    r, measured = np.loadtxt(YARNELL).T
    reference = replace(RAHMAN, temperature_K=85.0, density_g_cm3=0.02125 * 39.948 * 1.66053906660)
    rdf = RDF(12.0, 120).compute(reference.frames(40, 0.4, "lammps"))
    ours = np.interp(r, rdf.r, rdf.g)
    tail = (r > 4.5) & (r < 11.5)
    assert np.abs(ours - measured)[tail].mean() < 0.03
    assert np.abs(ours - measured)[tail].max() < 0.12
    assert rdf.first_peak.g == pytest.approx(measured.max(), abs=0.15)
    assert rdf.first_peak.r == pytest.approx(r[measured.argmax()], abs=0.08)


def test_diffusion_of_liquid_argon(rahman: list[Frame]) -> None:
    """D = 2.43e-5 cm^2/s (Rahman 1964)."""
    msd = MSD(blocks=4).compute(*paths(rahman))
    assert msd.diffusion == pytest.approx(2.43, abs=0.3) and msd.diffusion_error < 0.2


def test_both_engines_begin_alike_and_agree_on_average() -> None:
    """Without an equilibration the first frame is the same; later ones are equal until chaos parts them."""
    short = replace(RAHMAN, atoms=108, cutoff=6.0, equilibration_ps=0.0)
    ours, theirs = (list(short.frames(5, 0.1, engine)) for engine in ("own", "lammps"))
    for own, lammps in zip(ours, theirs, strict=True):
        assert (own.step, own.time_ps) == (lammps.step, pytest.approx(lammps.time_ps))
        assert np.allclose(own.systems.positions, lammps.systems.positions, atol=1e-4)
        assert np.allclose(own.velocities, lammps.velocities, atol=1e-6)
        assert np.allclose(own.forces, lammps.forces, atol=1e-4)
        assert own.energy == pytest.approx(lammps.energy, rel=1e-5)
        assert own.pressure_bar == pytest.approx(lammps.pressure_bar, abs=2)
    assert np.abs(ours[-1].systems.positions - ours[0].systems.positions).max() > 0.3

    warm = replace(RAHMAN, atoms=108, cutoff=6.0, equilibration_ps=4.0, ensemble="nvt")
    for engine in ("own", "lammps"):
        temperatures = [frame.to_ase().get_kinetic_energy() for frame in warm.frames(60, 0.1, engine)]
        assert np.mean(temperatures) == pytest.approx(1.5 * 107 * 8.617333e-5 * ARGON_TEMPERATURE_K, rel=0.05)


def test_frames_that_cannot_be() -> None:
    from hydrasurr.errors import ConfigError

    with pytest.raises(ConfigError, match="expected one or more"):
        RAHMAN.frames(0)
    assert RAHMAN.engine() == RAHMAN.engine("lammps") == "lammps"
