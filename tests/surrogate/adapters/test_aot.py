"""Compiled force fields against PyTorch, in sizes that the export has not seen."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._inductor import cpp_builder
from typer.testing import CliRunner

from hydrasurr.cli import app
from hydrasurr.errors import HydrasurrError, StructureError
from hydrasurr.graphs.schema import Target, molecule_schema
from hydrasurr.graphs.systems import Systems
from hydrasurr.models.config import ModelConfig
from hydrasurr.models.force_field.network import ForceField
from hydrasurr.models.force_field.trace import trace
from hydrasurr.models.network import GraphNetwork
from hydrasurr.models.package import save_package
from hydrasurr.surrogate.adapters import aot
from hydrasurr.surrogate.potentials.load import load_potential
from hydrasurr.surrogate.potentials.network import NetworkPotential
from tests.models.force_field.conftest import NUMBERS, make
from tests.surrogate.potentials.differences import check_forces, check_virial
from tests.surrogate.potentials.structures import every_kind

SPACING = 2.2


def networks(kind: str = "painn") -> list[ForceField]:
    """A committee of two, as small as they can be."""
    members = [make(kind, width=8, layers=2, radial={"type": "bessel", "count": 4}) for _ in range(2)]
    with torch.no_grad():
        members[1].readout[2].weight.mul_(0.5)
    return members


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("aot") / "painn"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        aot.export(networks(), folder, threads=1)
    assert not any(issubclass(warning.category, FutureWarning) for warning in caught)
    return folder


@pytest.fixture(scope="module")
def potential(package: Path) -> aot.AOTPotential:
    return aot.AOTPotential.load(package)


@pytest.mark.parametrize("structure", every_kind(SPACING, NUMBERS))
def test_equal_to_pytorch_at_every_size(structure: str, potential: aot.AOTPotential):
    systems = every_kind(SPACING, NUMBERS)[structure]
    expected, found = NetworkPotential(networks()).evaluate(systems), potential.evaluate(systems)
    np.testing.assert_allclose(found.energy, expected.energy, rtol=1e-10)
    np.testing.assert_allclose(found.forces, expected.forces, atol=1e-10)
    np.testing.assert_allclose(found.virial, expected.virial, atol=1e-10)


def test_forces_and_virial_are_slopes_of_the_energy(potential: aot.AOTPotential):
    systems = every_kind(SPACING, NUMBERS)["batch"]
    check_forces(potential, systems, sample=12)
    check_virial(potential, systems)


def test_atoms_without_neighbours(potential: aot.AOTPotential):
    alone = Systems.single([6, 8], [[0, 0, 0], [9, 0, 0]])
    expected, found = NetworkPotential(networks()).evaluate(alone), potential.evaluate(alone)
    assert found.energy == pytest.approx(expected.energy)
    assert not found.forces.any()


@pytest.mark.parametrize("kind", ["schnet", "egnn", "pna"])
def test_every_kind_traces_for_any_number_of_atoms(kind: str):
    """The trace alone: compiling takes long, and is the same for all."""
    members = networks(kind)
    forces = aot.energy_forces_virial(members)
    small, medium, large = (aot._example(members, atoms) for atoms in (11, 24, 40))
    graph = trace(forces, small, medium)
    for one, other in zip(graph(*large), forces(*large), strict=True):
        torch.testing.assert_close(one, other)


def test_the_manifest_says_what_it_is(package: Path, potential: aot.AOTPotential):
    manifest = json.loads((package / aot.MANIFEST).read_text())
    assert manifest["elements"] == sorted(NUMBERS)
    assert (manifest["members"], manifest["weights"], manifest["cutoff"]) == (2, "float64", 4.0)
    assert 0 <= manifest["largest_difference"] < 1e-10
    assert potential.cutoff == 4.0


def test_from_json(package: Path):
    assert isinstance(load_potential({"type": "aot", "folder": package.name}, package.parent), aot.AOTPotential)


def test_from_the_command_line_a_model_of_molecules_is_an_error(tmp_path: Path):
    network = GraphNetwork(ModelConfig(hidden=8, layers=1), molecule_schema(), [Target("gap")], [0.0], [1.0], [0, 5])
    save_package(tmp_path / "gap.safetensors", [network], {})
    result = CliRunner().invoke(app, ["export", str(tmp_path / "gap.safetensors"), "--aot", str(tmp_path / "out")])
    assert isinstance(result.exception, HydrasurrError) and "only force fields" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_no_force_fields_have_no_mean(tmp_path: Path):
    with pytest.raises(HydrasurrError, match="only force fields can be compiled"):
        aot.export([], tmp_path / "out")


def test_unknown_elements_are_named(potential: aot.AOTPotential):
    with pytest.raises(StructureError, match="no N in this force field: it was made for H, C, O"):
        potential.evaluate(Systems.single([7], [[0, 0, 0]]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"torch": "1.0"}, "exported for torch 1.0"),
        ({"processor": "Z80"}, "processor Z80"),
        ({"sha256": "0"}, "not the file its manifest describes"),
    ],
)
def test_a_package_for_something_else_is_not_run(package: Path, tmp_path: Path, change: dict, message: str):
    copy = shutil.copytree(package, tmp_path / "copy")
    manifest = json.loads((copy / aot.MANIFEST).read_text())
    (copy / aot.MANIFEST).write_text(json.dumps(manifest | change))
    with pytest.raises(HydrasurrError, match=message):
        aot.AOTPotential.load(copy)


def test_without_a_compiler_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    cpp_builder.cpp_compiler_search.cache_clear()  # what an earlier test found
    with pytest.raises(HydrasurrError, match=r"needs a C\+\+ compiler"):
        aot.export(networks(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_folders_are_not_overwritten(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(HydrasurrError, match="not an export"):
        aot.export(networks(), tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
