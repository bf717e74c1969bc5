"""Potentials from configurations and files, and errors that say what to change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.models.force_field.config import ForceFieldConfig
from hydrasurr.models.force_field.network import ForceField
from hydrasurr.models.package import save_package
from hydrasurr.models.pair_mlp import PairMLP, PairSpec, save_pair
from hydrasurr.surrogate.adapters.lammps_table import write_table
from hydrasurr.surrogate.potentials import (
    TOSI_FUMI_NACL,
    Born,
    Coulomb,
    LennardJones,
    Potential,
    RangeGuard,
    Splitting,
    Sum,
    Table,
    load_potential,
)
from hydrasurr.surrogate.potentials.config import parse_potential
from hydrasurr.surrogate.potentials.network import NetworkPotential
from hydrasurr.surrogate.potentials.pair_mlp import PairNetwork
from tests.surrogate.potentials.structures import lattice

ARGON = {"type": "lennard_jones", "epsilon": 0.0104, "sigma": 3.4, "cutoff": 7.5}
SALT = {"type": "coulomb", "charges": {"Na": 1, "Cl": -1}, "cutoff": 8.0}


def assert_same(found: Potential, expected: Potential, numbers: tuple[int, ...] = (18,)) -> None:
    systems = lattice(4, 3.0, numbers, jitter=0.2)
    for name, value in vars(expected.evaluate(systems)).items():
        np.testing.assert_array_equal(getattr(found.evaluate(systems), name), value)


def test_lennard_jones() -> None:
    assert_same(load_potential(ARGON), LennardJones(0.0104, 3.4, 7.5))
    assert_same(load_potential(ARGON | {"shift": False}), LennardJones(0.0104, 3.4, 7.5, shift=False))


def test_born() -> None:
    terms = {pair: terms._asdict() for pair, terms in TOSI_FUMI_NACL.items()}
    for section in ({"type": "born", "cutoff": 6.0}, {"type": "born", "cutoff": 6.0, "pairs": terms}):
        assert_same(load_potential(section), Born(cutoff=6.0), (11, 17))


def test_coulomb() -> None:
    assert_same(load_potential(SALT), Coulomb({11: 1, 17: -1}, 8.0), (11, 17))
    exact = Coulomb({11: 1, 17: -1}, 8.0, splitting=Splitting("ewald", 1.5, 1.6))
    assert_same(load_potential(SALT | {"method": "ewald", "smearing": 1.5, "resolution": 1.6}), exact, (11, 17))


def test_sum_and_guard() -> None:
    section = {"type": "sum", "terms": [{"type": "guarded", "potential": {"type": "born"}, "r_min": 1.5}, SALT]}
    potential = load_potential(section)
    assert isinstance(potential, Sum) and isinstance(potential.terms[0], RangeGuard)
    assert_same(potential, Sum([Born(), Coulomb({11: 1, 17: -1}, 8.0)]), (11, 17))
    bounds = {"Na-Cl": 1.5, "Cl-Cl": 2.0}
    guard = load_potential({"type": "guarded", "potential": {"type": "born"}, "r_min": bounds, "stop": True})
    assert isinstance(guard, RangeGuard) and guard.stop and guard.r_min == bounds


def test_files_lie_beside_their_json(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write_table(tmp_path / "deep/ar.table", LennardJones(0.0104, 3.4, 7.5), ["Ar"], inner=2.0)
    (tmp_path / "deep/potential.json").write_text(json.dumps({"type": "table", "file": "ar.table"}))
    expected = Table.from_lammps(tmp_path / "deep/ar.table")
    assert_same(load_potential(tmp_path / "deep/potential.json"), expected)
    assert_same(load_potential("potential.json", tmp_path / "deep"), expected)
    assert_same(load_potential({"type": "table", "file": "ar.table"}, tmp_path / "deep"), expected)
    named = {"type": "table", "file": "deep/ar.table", "pairs": {"Ar-Ar": "Ar-Ar"}}
    assert_same(load_potential(parse_potential(named, "test"), tmp_path), expected)


def test_pair_networks(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = PairMLP(PairSpec(elements=(18,), cutoff=7.0, r_min=(2.4,), force_scale=0.1))
    save_pair(tmp_path / "pair.safetensors", network)
    expected = PairNetwork(network)
    assert_same(load_potential(tmp_path / "pair.safetensors"), expected)
    section = {"type": "pair_mlp", "file": "pair.safetensors"}
    assert_same(load_potential(section | {"precision": "fp32"}, tmp_path), PairNetwork(network, "fp32"))
    guard = load_potential({"type": "guarded", "potential": section}, tmp_path)
    assert isinstance(guard, RangeGuard) and guard.r_min == {"Ar-Ar": 2.4}


def test_networks(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = ForceField(ForceFieldConfig(type="force_field", cutoff=4.0), [18])
    save_package(tmp_path / "network.safetensors", [network], {})
    expected = NetworkPotential(network)
    assert_same(load_potential(tmp_path / "network.safetensors"), expected)
    section = {"type": "network", "file": "network.safetensors"}
    assert_same(load_potential(section, tmp_path), expected)
    assert_same(
        load_potential(section | {"precision": "float64"}, tmp_path), NetworkPotential(network, dtype="float64")
    )


def test_a_mace_file_is_not_trusted_unasked(tmp_path: Path) -> None:
    (tmp_path / "water.model").write_bytes(b"")
    with pytest.raises(HydrasurrError, match="trust_pickle"):
        load_potential({"type": "mace", "file": "water.model"}, tmp_path)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, "a section with a key type, one of lennard_jones, born"),
        ({"type": 3}, "a section with a key type"),
        ({"type": "lenard_jones"}, "no potential of type 'lenard_jones'; did you mean 'lennard_jones'"),
        (ARGON | {"epsilom": 1}, "epsilom: unknown key; did you mean 'epsilon'"),
        (ARGON | {"cutoff": 0}, "cutoff: Input should be greater than 0"),
        (SALT | {"charges": {"Nax": 1}}, "charges: no element 'Nax'; did you mean 'Na'"),
        (SALT | {"smearing": 1.0}, "smearing and resolution: give both or none"),
        ({"type": "born", "pairs": {"Na": {}}}, "a: this key is required"),
        ({"type": "sum", "terms": []}, "terms: a sum needs at least one term"),
        ({"type": "sum", "terms": [{"type": "bron"}]}, "terms.0: no 'type' 'bron'; did you mean 'born'"),
        ({"type": "sum", "terms": [ARGON | {"sigm": 1}]}, "terms.0.sigm: unknown key; did you mean 'sigma'"),
        ({"type": "guarded", "potential": ARGON}, "a guard around 'lennard_jones' needs r_min"),
        ({"type": "guarded", "potential": ARGON, "r_min": {"Ar-Qq": 2}}, "no element 'Qq'"),
    ],
)
def test_errors_of_sections(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_potential(section)


def test_errors_of_files(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"type": "born", }')
    (tmp_path / "wrong.json").write_text('{"type": "born", "cut": 1}')
    (tmp_path / "notes.txt").write_text("no model")
    for name, message in (
        ("broken.json", r"broken.json', line 1"),
        ("wrong.json", r"wrong.json' is not valid:\n  cut: unknown key; did you mean 'cutoff'"),
        ("missing.json", "no file"),
        ("missing.safetensors", "no potential at"),
        ("notes.txt", "neither a JSON file nor a trained model"),
    ):
        with pytest.raises(HydrasurrError, match=message):
            load_potential(tmp_path / name)
