"""Pair networks as potentials: every format against the plain network over all pairs, and against its own energy."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from scipy.integrate import quad
from scipy.spatial.transform import Rotation

from hydrasurr.errors import HydrasurrError, StructureError
from hydrasurr.graphs.systems import Systems
from hydrasurr.models.pair_mlp import PairMLP, PairSpec, save_pair
from hydrasurr.models.pair_quantize import FORMATS, convert
from hydrasurr.surrogate.potentials import load_potential, pair_mlp
from hydrasurr.surrogate.potentials.guard import guarded
from hydrasurr.surrogate.potentials.pair_mlp import BFloat16Lookup, Forward, PairNetwork
from hydrasurr.training.pair_fit import start
from tests.surrogate.potentials.differences import check_forces, check_virial
from tests.surrogate.potentials.structures import every_kind, lattice

SMOOTH = [format for format in FORMATS if not format.startswith("bf16")]
ROUNDING = {"fp64": 1e-12, "bf16": 5e-2, "bf16_hidden": 2e-2}  # of forces near 1; float32 in all other formats


def argon(**changes: object) -> PairMLP:
    """Forces near 1 eV/Angstrom with several changes of sign."""
    network = start(PairSpec(elements=(18,), cutoff=7.5, r_min=(2.2,), **changes), seed=1)
    return network.requires_grad_(False)


def salt(**changes: object) -> PairMLP:
    spec = PairSpec(elements=(11, 17), cutoff=7.0, r_min=(2.5, 2.0, 2.7), hidden=(40, 33), **changes)
    return start(spec, seed=2).requires_grad_(False)


MODELS: dict[str, tuple[Callable[..., PairMLP], tuple[int, ...], float]] = {
    "argon": (argon, (18,), 3.6),
    "salt": (salt, (11, 17), 3.2),
}


def plain_forces(network: PairMLP, system: Systems) -> np.ndarray:
    """The sum over ASE's full list of pairs, the network applied to all of them at once in float64."""
    atoms = Atoms(system.numbers, system.positions, cell=system.cell[0], pbc=system.pbc[0])
    i, j, distance, vector = neighbor_list("ijdD", atoms, network.spec.cutoff)
    kind = network.kind(*(torch.from_numpy(atoms.numbers[index]) for index in (i, j)))
    force = network(torch.from_numpy(distance), kind).numpy()
    forces = np.zeros_like(system.positions)
    np.add.at(forces, i, -force[:, None] * vector / distance[:, None])
    return forces


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("switch", [0.0, 1.0])
@pytest.mark.parametrize("model", MODELS)
def test_forces_are_those_of_the_plain_network(model: str, switch: float, format: str) -> None:
    make, numbers, spacing = MODELS[model]
    system, network = every_kind(spacing, numbers)["triclinic"], make(switch=switch)
    potential = PairNetwork(network, format)
    got, expected = potential.evaluate(system).forces, plain_forces(convert(network, format), system)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(got, expected, rtol=0, atol=ROUNDING.get(format, 1e-5))


@pytest.mark.parametrize("kind", every_kind())
@pytest.mark.parametrize("model", MODELS)
def test_forces_and_virial_are_derivatives_of_the_energy(model: str, kind: str) -> None:
    make, numbers, spacing = MODELS[model]
    systems, potential = every_kind(spacing, numbers)[kind], PairNetwork(make())
    check_forces(potential, systems, sample=40, tolerance=3e-6)
    check_virial(potential, systems, tolerance=1e-5)


@pytest.mark.parametrize("format", SMOOTH)
@pytest.mark.parametrize("switch", [0.0, 1.0])
def test_formats_conserve_energy(format: str, switch: float) -> None:
    systems, potential = every_kind()["triclinic"], PairNetwork(argon(switch=switch), format)
    check_forces(potential, systems, sample=40, tolerance=1e-5)
    check_virial(potential, systems, tolerance=1e-4)


@pytest.mark.parametrize("format", FORMATS)
def test_the_energy_is_the_integral_of_the_force(format: str) -> None:
    """Also of the steps of bfloat16, whose forces differ from those of float64."""
    potential = PairNetwork(argon(), format)
    argon_atoms = torch.full((200_001,), 18)
    grid = torch.linspace(2.3, 7.5, 200_001, dtype=torch.float64)
    energy, force = potential.radial(grid, argon_atoms, argon_atoms)
    expected = torch.cumulative_trapezoid(force.flip(0), dx=float(grid[1] - grid[0])).flip(0)
    tolerance = 5e-4 if format.startswith("bf16") else 1e-6
    torch.testing.assert_close(energy[:-1], expected, rtol=0, atol=tolerance)
    assert float(energy[-1]) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_the_energy_of_a_pair(model: str) -> None:
    make, numbers, _ = MODELS[model]
    network = make(switch=0.7)
    potential = PairNetwork(network)
    kind = torch.tensor([len(network.spec.pairs) // 2])
    for r in (2.9, 4.123, 6.8):
        energy, forces, _ = potential([numbers[0], numbers[-1]], [[0, 0, 0], [0, r, 0]])
        expected = quad(lambda x: float(network(torch.tensor([x], dtype=torch.float64), kind)), r, network.spec.cutoff)
        assert energy == pytest.approx(expected[0], abs=1e-8)
        assert forces[1, 1] == pytest.approx(float(network(torch.tensor([r], dtype=torch.float64), kind)), abs=1e-12)


@pytest.mark.parametrize("format", FORMATS)
def test_rotations_and_momentum(format: str) -> None:
    """Forces turn with the system and its cell; of a closed system they add up to nothing."""
    system, potential = every_kind()["triclinic"], PairNetwork(argon(), format)
    turn = Rotation.random(rng=np.random.default_rng(5)).as_matrix()
    turned = Systems.single(system.numbers, system.positions @ turn.T, system.cell[0] @ turn.T, True)
    before, after = potential.evaluate(system), potential.evaluate(turned)
    # A distance near the edge of a step of bfloat16 may fall on its other side.
    tolerance = 1e-2 if format.startswith("bf16") else 1e-5
    np.testing.assert_allclose(after.forces, before.forces @ turn.T, rtol=0, atol=tolerance)
    np.testing.assert_allclose(after.virial[0], turn @ before.virial[0] @ turn.T, rtol=0, atol=100 * tolerance)
    np.testing.assert_allclose(before.forces.sum(0), 0, atol=1e-11)


def test_bfloat16_is_that_of_torch_throughout() -> None:
    """`nn.Sequential` in bfloat16, with the input normalised in float64 before it is rounded."""
    network = argon()
    x = torch.linspace(0, 1, 30_000, dtype=torch.float64)
    with torch.inference_mode():
        expected = copy.deepcopy(network.networks[0]).bfloat16()(x.bfloat16()[:, None])[:, 0].double()
    forward = Forward(convert(network, "bf16"), 0)
    scale = expected.abs().max()
    torch.testing.assert_close(forward(x) / scale, expected / scale, rtol=0, atol=2**-6)


def test_the_lookup_gives_the_bits_of_the_products() -> None:
    forward = Forward(convert(argon(), "bf16"), 0)
    x = torch.from_numpy(np.random.default_rng(0).uniform(0, 1, 50_000) ** 4)
    x[:3] = torch.tensor([0.0, 1.0, 1e-30])
    assert torch.equal(BFloat16Lookup(forward)(x), forward(x))
    system = every_kind()["batch"]
    looked_up, computed = (PairNetwork(argon(), "bf16", lookup=lookup).evaluate(system) for lookup in (True, False))
    np.testing.assert_array_equal(looked_up.forces, computed.forces)
    np.testing.assert_array_equal(looked_up.energy, computed.energy)


@pytest.mark.parametrize("format", ["fp64", "fp32", "bf16_hidden"])
def test_chunks_change_nothing(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    system = every_kind()["triclinic"]
    whole = PairNetwork(argon(), format).evaluate(system)
    monkeypatch.setattr(pair_mlp, "FORWARD_CHUNK", 37)
    pieces = PairNetwork(argon(), format)
    pieces.chunk = 100
    # Products of few rows may add up in another order.
    np.testing.assert_allclose(pieces.evaluate(system).forces, whole.forces, rtol=0, atol=ROUNDING.get(format, 1e-5))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("model", MODELS)
def test_below_the_data_the_force_goes_on_straight(model: str, format: str) -> None:
    make, numbers, _ = MODELS[model]
    potential = PairNetwork(make(), format)
    symbols = {18: "Ar", 11: "Na", 17: "Cl"}
    for first, second in {(numbers[0], numbers[0]), (numbers[0], numbers[-1]), (numbers[-1], numbers[-1])}:
        r_min = potential.r_min[f"{symbols[first]}-{symbols[second]}"]
        r = r_min - torch.linspace(0, 1.5, 40, dtype=torch.float64)
        energy, force = potential.radial(r, torch.full((40,), first), torch.full((40,), second))
        assert force.diff().min() > 0
        torch.testing.assert_close(force.diff(n=2), torch.zeros(38).double(), rtol=0, atol=1e-9)
        trapezoids = torch.cumulative_trapezoid(force, dx=float(r[0] - r[1]))  # exact for straight lines
        tolerance = 1e-3 if format.startswith("bf16") else 1e-5
        torch.testing.assert_close(energy[1:] - energy[0], trapezoids, rtol=0, atol=tolerance)


def test_a_part_of_the_force_may_pull_below_the_data() -> None:
    network, pulling = salt(), 0
    for parameter in network.networks[1][-1].parameters():
        parameter.neg_()  # now unlike atoms attract each other the harder the closer they are
    free, guarded = PairNetwork(network, repulsive=False), PairNetwork(network)
    for first, second in network.spec.pairs:
        r_min = network.spec.r_min[network.spec.pairs.index((first, second))]
        r = r_min + torch.tensor([-0.4, 0.0, 1e-4], dtype=torch.float64)
        numbers = torch.full((3,), first), torch.full((3,), second)
        energy, (below, there, above) = free.radial(r, *numbers)
        slope = (there - above) / 1e-4
        torch.testing.assert_close(below, there + 0.4 * slope, rtol=0, atol=1e-6)
        torch.testing.assert_close(energy[0] - energy[1], 0.4 * (below + there) / 2, rtol=0, atol=1e-4)
        pulling += int(slope < 0)
        assert (guarded.radial(r, *numbers)[1][0] > below) == (slope < 0)
    assert pulling == 1


def test_the_guard_knows_where_the_data_begin() -> None:
    potential = PairNetwork(salt())
    assert potential.r_min == {"Na-Na": 2.5, "Na-Cl": 2.0, "Cl-Cl": 2.7}
    guard = guarded(potential, potential.r_min)
    atoms = [11, 17, 17], [[0, 0, 0], [2.1, 0, 0], [0, 0, 2.65]]
    assert guard(*atoms)[0] == pytest.approx(potential(*atoms)[0], abs=1e-12)
    assert (guard.seen, guard.below) == (3, 0)
    guard([17, 17], [[0, 0, 0], [0, 0, 2.65]])
    assert (guard.seen, guard.below) == (4, 1)
    with pytest.raises(HydrasurrError, match="trained down to 2.7"):
        guarded(potential, potential.r_min, stop=True)([17, 17], [[0, 0, 0], [0, 0, 2.65]])


def test_unknown_elements_are_refused() -> None:
    with pytest.raises(StructureError, match=r"not \[36\]"):
        PairNetwork(argon())([18, 36], [[0, 0, 0], [0, 0, 4]])


def test_files_in_any_format(tmp_path: Path) -> None:
    path, system, network = tmp_path / "pair.safetensors", lattice(), argon()
    for format in FORMATS:
        expected = PairNetwork(network, format).evaluate(system).forces
        save_pair(path, convert(network, format))
        from_file = load_potential(path)
        assert isinstance(from_file, PairNetwork) and from_file.format == format
        np.testing.assert_array_equal(from_file.evaluate(system).forces, expected)
        save_pair(path, network)
        np.testing.assert_array_equal(PairNetwork.load(path, format).evaluate(system).forces, expected)
    save_pair(path, convert(network, "int4"))
    with pytest.raises(HydrasurrError, match="rounded to 'int4'"):
        PairNetwork.load(path, "fp64")


def test_can_be_made_and_used_in_inference_mode() -> None:
    with torch.inference_mode():
        potential = PairNetwork(argon(), "int4_refit")
        inside = potential.evaluate(lattice()).forces
    np.testing.assert_array_equal(potential.evaluate(lattice()).forces, inside)
