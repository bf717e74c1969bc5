"""Trained force fields as potentials: files, committees, types."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from hydrasurr.errors import HydrasurrError, StructureError
from hydrasurr.graphs.schema import Target, molecule_schema
from hydrasurr.graphs.systems import Systems
from hydrasurr.models.config import ModelConfig
from hydrasurr.models.force_field.network import ForceField
from hydrasurr.models.network import GraphNetwork
from hydrasurr.models.package import load_package, save_package
from hydrasurr.surrogate.potentials.contract import Sum
from hydrasurr.surrogate.potentials.guard import with_guards
from hydrasurr.surrogate.potentials.lennard_jones import LennardJones
from hydrasurr.surrogate.potentials.load import load_potential
from hydrasurr.surrogate.potentials.network import CommitteeEvaluation, NetworkPotential
from tests.models.force_field.conftest import NUMBERS, make
from tests.surrogate.potentials.differences import check_forces, check_virial
from tests.surrogate.potentials.structures import every_kind

SYSTEMS = every_kind(2.2, NUMBERS)["batch"]
KINDS = ("schnet", "painn", "egnn", "pna")


def committee() -> list[ForceField]:
    members = [make("painn") for _ in range(3)]
    for k, member in enumerate(members):
        with torch.no_grad():
            member.readout[2].weight.mul_(1 + k)
    return members


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_package_holds_the_same_force_field(kind: str, dtype: torch.dtype, tmp_path: Path):
    field, file = make(kind, dtype), tmp_path / "surrogate.safetensors"
    save_package(file, [field], {"dataset": "none"})
    (loaded,), notes = load_package(file)
    assert notes == {"dataset": "none"}
    assert loaded.config == field.config and loaded.elements == field.elements and loaded.dtype == dtype
    expected, found = NetworkPotential(field).evaluate(SYSTEMS), load_potential(file).evaluate(SYSTEMS)
    for name in ("energy", "forces", "virial"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_a_committee_gives_its_mean_and_spread(tmp_path: Path):
    save_package(tmp_path / "all.safetensors", committee(), {})
    found = NetworkPotential.load(tmp_path / "all.safetensors").evaluate(SYSTEMS)
    members = [NetworkPotential(member).evaluate(SYSTEMS) for member in committee()]
    assert isinstance(found, CommitteeEvaluation)
    np.testing.assert_allclose(found.forces, np.mean([member.forces for member in members], 0), atol=1e-12)
    np.testing.assert_allclose(found.virial, np.mean([member.virial for member in members], 0), atol=1e-12)
    np.testing.assert_allclose(found.forces_std, np.std([member.forces for member in members], 0), atol=1e-12)
    np.testing.assert_allclose(found.energy_std, np.std([member.energy for member in members], 0), atol=1e-12)
    assert found.forces_std.max() > 0


def test_the_spread_stays_wherever_the_committee_is_in_a_sum():
    lennard_jones, several = LennardJones(0.01, 3.0, 5.0), NetworkPotential(committee())
    spread = several.evaluate(SYSTEMS).forces_std
    for terms in ([several, lennard_jones], [lennard_jones, several]):
        np.testing.assert_allclose(Sum(terms).evaluate(SYSTEMS).forces_std, spread, rtol=0, atol=1e-12)


def test_atoms_at_one_point_are_named():
    with pytest.raises(StructureError, match=r"atoms 0 \([A-Z]\) and 2 \([A-Z]\) are 0 Angstrom apart"):
        NetworkPotential(make("painn"))(np.resize(NUMBERS, 3), [[0, 0, 0], [1.5, 0, 0], [0, 0, 0]])


def test_several_files_are_a_committee(tmp_path: Path):
    files = [tmp_path / f"{k}.safetensors" for k in range(3)]
    for file, member in zip(files, committee(), strict=True):
        save_package(file, [member], {})
    np.testing.assert_array_equal(
        NetworkPotential.load(files).evaluate(SYSTEMS).forces, NetworkPotential(committee()).evaluate(SYSTEMS).forces
    )


def test_forces_and_virial_of_a_committee_are_slopes_of_its_energy():
    check_forces(NetworkPotential(committee()), SYSTEMS, sample=8)
    check_virial(NetworkPotential(committee()), SYSTEMS)


def test_the_type_of_weights_can_be_chosen(tmp_path: Path):
    save_package(tmp_path / "one.safetensors", [make("painn", torch.float32)], {})
    narrow = NetworkPotential.load(tmp_path / "one.safetensors")
    wide = NetworkPotential.load(tmp_path / "one.safetensors", dtype="float64")
    assert (narrow.networks[0].dtype, wide.networks[0].dtype) == (torch.float32, torch.float64)
    check_forces(wide, SYSTEMS, sample=4)
    np.testing.assert_allclose(narrow.evaluate(SYSTEMS).forces, wide.evaluate(SYSTEMS).forces, atol=1e-4)
    with pytest.raises(HydrasurrError, match="no type 'fp64'"):
        NetworkPotential.load(tmp_path / "one.safetensors", dtype="fp64")


def test_a_model_of_molecules_is_no_potential(tmp_path: Path):
    network = GraphNetwork(ModelConfig(hidden=8, layers=1), molecule_schema(), [Target("gap")], [0.0], [1.0], [0, 5])
    save_package(tmp_path / "gap.safetensors", [network], {})
    with pytest.raises(HydrasurrError, match="not a force field"):
        NetworkPotential.load(tmp_path / "gap.safetensors")


def test_a_file_tells_the_range_of_its_training(tmp_path: Path):
    save_package(tmp_path / "m.safetensors", committee(), {"r_min": {"H-O": 0.8, "O-O": 9.0}})
    potential = NetworkPotential.load(tmp_path / "m.safetensors")
    assert potential.r_min == {"H-O": 0.8}  # a bound beyond the cutoff bounds nothing
    guard = with_guards(Sum([potential, LennardJones(0.01, 3.0, 5.0)])).terms[0]
    water = Systems.single([8, 1], [[0, 0, 0], [0, 0, 0.7]])
    result = guard.evaluate(water)
    assert guard.below == 1 and result.energy[0] > potential.evaluate(water).energy[0]
    assert isinstance(result, CommitteeEvaluation)
    assert with_guards(guard) is guard


def change_header(file: Path, change: dict) -> None:
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        header = json.loads(opened.metadata()["hydrasurr"])
    save_file(load_file(file), file, {"hydrasurr": json.dumps(header | change)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"elements": [1, 6]}, "other names or shapes"),
        ({"model": {"type": "force_field", "width": 10**6}}, "other names or shapes"),
        ({"model": {"type": "force_field", "layers": 10**9}}, "not as many layers"),
        ({"elements": [0]}, "atomic numbers"),
        ({"version": 3}, "newer hydrasurr"),
        ({"kind": "something"}, "is not valid"),
    ],
)
def test_a_wrong_header_is_an_error_before_anything_is_allocated(change: dict, message: str, tmp_path: Path):
    file = tmp_path / "one.safetensors"
    save_package(file, [make("painn")], {})
    change_header(file, change)
    with pytest.raises(HydrasurrError, match=message):
        load_package(file)
