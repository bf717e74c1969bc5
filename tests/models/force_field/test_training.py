"""What training needs: derivatives of forces by the weights, gradients switched off and on, nothing left unused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hydrasurr.graphs.neighbours import NeighbourList
from hydrasurr.graphs.systems import Systems, join
from hydrasurr.loading.atoms_batch import AtomsBatch
from hydrasurr.models.force_field.network import ForceField
from tests.models.force_field.conftest import NUMBERS, make
from tests.surrogate.potentials.structures import lattice


@pytest.fixture
def batch() -> AtomsBatch:
    systems = join([lattice(2, 2.2, NUMBERS), lattice(2, 2.4, NUMBERS, pbc=False), Systems.single([8], [[0, 0, 0]])])
    return AtomsBatch.from_systems(systems, NeighbourList(4.0).pairs(systems))


def loss(field: ForceField, batch: AtomsBatch) -> torch.Tensor:
    """Depends on everything that a force field predicts."""
    prediction = field(batch, stress=True)
    return prediction.energy.sum().sin() + prediction.forces.square().mean() + prediction.virial.sin().sum()


def test_gradients_of_forces_by_the_weights_are_right(kind: str, batch: AtomsBatch):
    """Of a few weights of each parameter, against central differences of the loss."""
    field = make(kind)
    gradients = torch.autograd.grad(loss(field, batch), list(field.parameters()))
    rng = np.random.default_rng(0)
    for parameter, gradient in zip(field.parameters(), gradients, strict=True):
        weights, flat = parameter.data.view(-1), gradient.reshape(-1)
        for k in rng.integers(0, len(weights), 2):
            value, step = float(weights[k]), 1e-5
            energies = []
            for moved in (value + step, value - step):
                weights[k] = moved
                energies.append(loss(field, batch).item())
            weights[k] = value
            slope = (energies[0] - energies[1]) / (2 * step)
            assert slope == pytest.approx(float(flat[k]), rel=1e-5, abs=1e-5 * float(flat.abs().max() + 1))


def test_second_derivatives_by_the_positions(kind: str):
    """A Hessian: forces differentiated by positions that ask for it, symmetric and right."""
    field, system = make(kind), lattice(2, 2.2, NUMBERS, pbc=False)
    batch = AtomsBatch.from_systems(system, NeighbourList(4.0).pairs(system))
    batch.positions.requires_grad_()
    forces = field(batch).forces
    rows = [torch.autograd.grad(-f, batch.positions, retain_graph=True)[0].flatten() for f in forces.flatten()[:6]]
    hessian = torch.stack(rows)
    torch.testing.assert_close(hessian[:, :6], hessian[:, :6].T)
    step = 1e-4
    for column in range(6):
        moves = torch.zeros(system.num_atoms * 3, dtype=torch.float64)
        moves[column] = step
        ahead, behind = (
            field(AtomsBatch.from_systems(moved, NeighbourList(4.0).pairs(moved))).forces.flatten()[:6]
            for moved in (
                Systems.single(system.numbers, system.positions + sign * moves.view(-1, 3).numpy()) for sign in (1, -1)
            )
        )
        torch.testing.assert_close(hessian[:, column], (behind - ahead) / (2 * step), rtol=1e-5, atol=1e-6)


def test_every_parameter_is_trained(kind: str, batch: AtomsBatch):
    """None is left out, as several ranks need, and none has no influence but the last bias, on the forces."""
    field = make(kind, torch.float32)
    field(batch).forces.square().sum().backward()
    without = {name for name, parameter in field.named_parameters() if parameter.grad is None}
    assert without <= {"readout.2.bias"}
    field.zero_grad()
    loss(field, batch).backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in field.parameters())


def test_without_gradients_the_result_is_the_same_and_carries_none(kind: str, batch: AtomsBatch):
    field = make(kind)
    with_graph = field(batch, stress=True)
    with torch.no_grad():
        without = field(batch, stress=True)
    for name in ("energy", "forces", "virial"):
        one, other = getattr(with_graph, name), getattr(without, name)
        assert one.requires_grad and not other.requires_grad
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
    assert not batch.positions.requires_grad
    assert with_graph.energy.dtype == with_graph.forces.dtype == torch.float64


def test_a_few_steps_of_training_lower_the_loss(kind: str, batch: AtomsBatch):
    field = make(kind, torch.float32)
    target = torch.randn(batch.num_nodes, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    optimizer = torch.optim.Adam(field.parameters(), 3e-3)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        error = (field(batch).forces - target).square().mean()
        error.backward()
        optimizer.step()
        losses.append(error.item())
    assert losses[-1] < 0.8 * losses[0]
