"""Rock salt in torch against LAMMPS, and Madelung's constant against its digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.graphs.systems import Systems
from hydrasurr.md.engines import LammpsEngine
from hydrasurr.md.frame import Frame
from hydrasurr.md.nacl import scaling
from hydrasurr.md.nacl.madelung import EWALD_ACCURACY, MADELUNG, madelung
from hydrasurr.md.nacl.model import CHARGES, Forces, RockSalt
from hydrasurr.md.nacl.settings import load_study
from hydrasurr.md.state import begin
from hydrasurr.surrogate.potentials.contract import Sum
from hydrasurr.surrogate.potentials.coulomb import CoulombFar
from hydrasurr.surrogate.potentials.damped_shifted import DampedShiftedForce
from hydrasurr.surrogate.potentials.pair_sum import PairSum
from tests.surrogate.potentials.differences import check_forces, check_virial

PROGRAMS = 3e-4
"""eV/Angstrom: two meshes, each good to about 1e-4 root mean square."""


@pytest.fixture(scope="module")
def model() -> RockSalt:
    return RockSalt(load_study(quick=True, cells=3))


@pytest.fixture(scope="module")
def ions(model: RockSalt) -> Systems:
    return scaling.displaced(model, 3)


def in_lammps(model: RockSalt, ions: Systems, forces: Forces, charged: bool = True) -> Frame:
    state = begin(ions, model.born)
    with LammpsEngine(state, forces.style, 2.0, charges=CHARGES if charged else None) as engine:
        return engine.frame(0)


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def test_all_roads_give_the_forces_of_the_model(model: RockSalt, ions: Systems, tmp_path: Path) -> None:
    exact = Sum([model.born, model.coulomb(fine=True)]).evaluate(ions)
    assert rms(exact.forces) > 0.2
    roads = {
        "reference": model.reference(),
        "hybrid/overlay": model.with_table(tmp_path / "short.table", model.born),
        "one table over PPPM": model.tabled(tmp_path / "near.table", model.born, model.study.accuracy),
    }
    for name, road in roads.items():
        theirs, ours = in_lammps(model, ions, road), road.potential.evaluate(ions)
        for forces in (theirs.forces, ours.forces):
            assert rms(forces - exact.forces) < PROGRAMS, name
        assert theirs.energy == pytest.approx(exact.energy[0], abs=0.02), name  # of 216 ions
        assert np.allclose(theirs.stress, exact.stress(ions)[0], atol=3e-6), name  # 5 bar


def test_a_table_alone_is_the_sum_of_its_parts(model: RockSalt, ions: Systems, tmp_path: Path) -> None:
    dsf = DampedShiftedForce(CHARGES, 0.2, 10.0)
    road = model.table_alone(tmp_path / "all.table", PairSum([model.born, dsf]))
    exact = Sum([model.born, dsf]).evaluate(ions)
    for forces in (in_lammps(model, ions, road, charged=False).forces, road.potential.evaluate(ions).forces):
        assert rms(forces - exact.forces) < 2e-5
    assert np.allclose(PairSum([model.born, dsf]).evaluate(ions).forces, exact.forces, atol=1e-13)


def test_damped_shifted_forces_are_those_of_lammps(model: RockSalt, ions: Systems) -> None:
    dsf = DampedShiftedForce(CHARGES, 0.25, 8.0)
    theirs = in_lammps(model, ions, Forces(dsf, "pair_style coul/dsf 0.25 8.0\npair_coeff * *"))
    ours = dsf.evaluate(ions)
    # LAMMPS' erfc is a fit with an error of 1e-7, and its unit of charge has seven digits.
    assert rms(ours.forces - theirs.forces) < 2e-6 * rms(ours.forces) + 1e-6
    assert np.allclose(ours.stress(ions)[0], theirs.stress, atol=1e-6)


def test_damped_shifted_forces_are_derivatives(ions: Systems) -> None:
    dsf = DampedShiftedForce(CHARGES, 0.25, 8.0)
    check_forces(dsf, ions, sample=20)
    check_virial(dsf, ions)


def test_the_far_part_in_single_precision(model: RockSalt, ions: Systems) -> None:
    import torch

    exact = CoulombFar(CHARGES, model.splitting).evaluate(ions).forces
    assert rms(scaling.far_forces(ions, model.splitting, torch.float64) - exact) < 1e-12
    single = rms(scaling.far_forces(ions, model.splitting, torch.float32) - exact)
    assert 1e-9 < single < 1e-5


def test_madelung() -> None:
    assert madelung("ewald", EWALD_ACCURACY, cells=1) == pytest.approx(MADELUNG, abs=1e-8)
    errors = [abs(madelung("p3m", accuracy, cells=2) - MADELUNG) for accuracy in (1e-2, 1e-4)]
    assert errors[1] < 1e-4 and errors[1] < errors[0] / 10


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="fit.cutoff 8 must be the cutoff 8.5"):
        load_study(overrides=["fit.cutoff=8"])
    with pytest.raises(ConfigError, match="fp64 must be among the formats"):
        load_study(overrides=['formats=["int4"]'])
    with pytest.raises(ConfigError, match="'int4' is no name for a replacement"):
        load_study(overrides=['learned={"int4":{}}'])
    for name in ("graph", "reference", "dsf-8.5"):
        with pytest.raises(ConfigError, match=f"'{name}' is no name .*: something else in the study is called so"):
            load_study(overrides=[f'learned={{"{name}":{{}}}}'])
    assert load_study(quick=True, cells=5).ions == 1000


def test_ions_too_close_for_a_table_are_an_error_and_not_the_end(
    model: RockSalt, ions: Systems, tmp_path: Path
) -> None:
    positions = ions.positions.copy()
    positions[1] = positions[0] + [0.3, 0, 0]
    close = Systems.single(ions.numbers, positions, ions.cell[0], True)
    with pytest.raises(HydrasurrError, match="Pair distance < table inner cutoff"):
        in_lammps(model, close, model.with_table(tmp_path / "short.table", model.born))
