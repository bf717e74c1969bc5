"""The force field around its representation: configuration, elements, references, scale, types."""

from __future__ import annotations

import pytest
import torch

from hydrasurr.errors import ConfigError, StructureError
from hydrasurr.graphs.systems import Systems
from hydrasurr.models.force_field.config import ForceFieldConfig
from hydrasurr.models.force_field.network import ForceField
from hydrasurr.strict import parse
from hydrasurr.surrogate.potentials.network import NetworkPotential
from tests.models.force_field.conftest import NUMBERS, make


def test_a_name_alone_takes_the_defaults(kind: str):
    short = parse(ForceFieldConfig, {"type": "force_field", "representation": kind, "radial": "gaussian"}, "run.json")
    long = {"representation": {"type": kind}, "radial": {"type": "gaussian", "count": 50}}
    assert short == parse(ForceFieldConfig, long, "run.json")
    assert ForceFieldConfig.model_validate_json(short.model_dump_json()) == short


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"representation": "pain"}, "did you mean 'painn'"),
        ({"representation": {"type": "schnet", "filter": 3}}, "did you mean 'filters'"),
        ({"radial": {"type": "bessel", "count": 0}}, "radial.count"),
        ({"cutof": 5}, "did you mean 'cutoff'"),
        ({"cutoff": -1}, "cutoff"),
        ({"representation": {"type": "pna", "scalers": ["identity", "identity"]}}, "names must differ"),
    ],
)
def test_errors_name_the_key(section: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        parse(ForceFieldConfig, section, "run.json")


def test_energy_is_references_plus_scaled_output():
    references = torch.zeros(119, dtype=torch.float64)
    references[[1, 8]] = torch.tensor([-13.6, -2041.123456789012], dtype=torch.float64)
    torch.manual_seed(0)
    plain = ForceField(ForceFieldConfig(width=8), [8, 1])
    full = ForceField(ForceFieldConfig(width=8), [1, 8], references, 0.25)
    full.load_state_dict(plain.state_dict() | {"reference_energies": references, "scale": full.scale})
    water = Systems.single([8, 1, 1], [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    one, other = NetworkPotential(plain).evaluate(water), NetworkPotential(full).evaluate(water)
    assert other.energy[0] == pytest.approx(0.25 * one.energy[0] + 2 * -13.6 - 2041.123456789012, abs=1e-9)
    assert other.forces == pytest.approx(0.25 * one.forces, abs=1e-7)


def test_unknown_elements_are_named():
    with pytest.raises(StructureError, match="no N, Cl in this force field: it was made for H, C, O"):
        NetworkPotential(make("painn")).evaluate(Systems.single([6, 7, 17], [[0, 0, 0], [1, 0, 0], [0, 2, 0]]))


@pytest.mark.parametrize("elements", [[], [0, 1], [119]])
def test_elements_must_be_atomic_numbers(elements: list[int]):
    with pytest.raises(ValueError, match="atomic numbers from 1 to 118"):
        ForceField(ForceFieldConfig(), elements)


def test_a_type_of_weights_leaves_reference_energies_exact():
    field = make("schnet", numbers=NUMBERS)
    exact = field.reference_energies.clone()
    field.set_dtype(torch.float32)
    assert field.dtype == torch.float32 and field.reference_energies.equal(exact)
