"""The representations against other implementations: PyG's SchNet, and the papers' equations atom by atom."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import silu
from torch_geometric.nn.models import SchNet as PyGSchNet
from torch_geometric.nn.models.dimenet import BesselBasisLayer

from hydrasurr.graphs.neighbours import NeighbourList
from hydrasurr.graphs.systems import Systems
from hydrasurr.loading.atoms_batch import AtomsBatch
from hydrasurr.models.force_field.network import ForceField
from hydrasurr.models.force_field.painn import NORM_FLOOR
from hydrasurr.models.force_field.radial import Bessel, CosineCutoff, Gaussians, PolynomialCutoff
from tests.models.force_field.conftest import NUMBERS, make
from tests.surrogate.potentials.structures import lattice


def batch_of(systems: Systems, field: ForceField) -> AtomsBatch:
    return AtomsBatch.from_systems(systems, NeighbourList(field.config.cutoff).pairs(systems))


def features(field: ForceField, batch: AtomsBatch) -> Tensor:
    """What the representation makes of each atom."""
    seen = []
    field.representation.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    field(batch)
    return seen[0]


def test_schnet_is_that_of_pyg():
    field = make("schnet", radial="gaussian", envelope="cosine", numbers=tuple(range(1, 101)))
    pyg = PyGSchNet(16, 16, num_interactions=3, num_gaussians=50, cutoff=4.0).double()
    ours = [*field.representation.parameters()]
    theirs = [p for block in pyg.interactions for p in block.parameters()]
    names = ["filter.0", "filter.2", "before", "after.0", "after.2"]
    pairs = dict(zip(names, ["mlp.0", "mlp.2", "conv.lin1", "conv.lin2", "lin"], strict=True))
    assert sum(p.numel() for p in ours) == sum(p.numel() for p in {id(p): p for p in theirs}.values())
    for block, interaction in zip(pyg.interactions, field.representation.interactions, strict=True):
        for mine, other in pairs.items():
            block.get_submodule(other).load_state_dict(interaction.get_submodule(mine).state_dict())
    batch = batch_of(lattice(3, 2.2, NUMBERS), field)
    source, destination = batch.edge_index
    vector = batch.positions[source] + batch.shift_vector - batch.positions[destination]
    distance = vector.norm(dim=1)
    h = field.embedding(batch.numbers - 1)
    for block in pyg.interactions:
        h = h + block(h, batch.edge_index, distance, pyg.distance_expansion(distance))
    # PyG keeps centres and widths of the Gaussians and log 2 as rounded to float32.
    torch.testing.assert_close(features(field, batch), h, rtol=1e-5, atol=1e-6)


def test_painn_is_that_of_the_paper_atom_by_atom():
    field = make("painn")
    system = lattice(2, 2.2, NUMBERS, jitter=0.1)
    batch, net = batch_of(system, field), field.representation
    s = field.embedding(field.row_of_element[batch.numbers])
    v = torch.zeros(len(s), 3, 16, dtype=torch.float64)
    for message, update in zip(net.messages, net.updates, strict=True):
        new_s, new_v = s.clone(), v.clone()
        for (j, i), shift in zip(batch.edge_index.T.tolist(), batch.shift_vector, strict=True):
            vector = batch.positions[j] + shift - batch.positions[i]
            r = vector.norm()
            basis = torch.sin(torch.arange(1, 7, dtype=torch.float64) * math.pi * r / 4) * math.sqrt(2 / 4) / r
            x = r / 4
            envelope = 1 - 28 * x**6 + 48 * x**7 - 21 * x**8
            w = (message.filter.weight[:, :-1] @ basis + message.filter.weight[:, -1]) * envelope
            x_s, x_u, *x_v = (message.phi(s[j]) * w).split(16)
            new_s[i] += x_s
            for a in range(3):
                new_v[i, a] += x_u * vector[a] / r + (x_v[0] * v[j, a] if x_v else 0)
        s, v = new_s.clone(), new_v.clone()
        first, second = update.mix.weight.split(16)
        for i in range(len(s)):
            uv, vv = new_v[i] @ first.T, new_v[i] @ second.T
            a_s, a_d, *a_v = update.alpha(torch.cat([new_s[i], (vv.pow(2).sum(0) + NORM_FLOOR).sqrt()])).split(16)
            s[i] += a_s + a_d * (uv * vv).sum(0)
            if a_v:
                v[i] += a_v[0] * uv
    torch.testing.assert_close(features(field, batch), s.detach(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("move", [True, False])
def test_egnn_is_that_of_the_paper_atom_by_atom(move: bool):
    field = make("egnn", representation={"type": "egnn", "move": move})
    cluster = lattice(2, 2.2, NUMBERS, pbc=False)
    batch = batch_of(cluster, field)
    h = field.embedding(field.row_of_element[batch.numbers])
    x = batch.positions
    edges = [(j, i, (batch.positions[i] - batch.positions[j]).norm()) for j, i in batch.edge_index.T.tolist()]
    for number, layer in enumerate(field.representation.layers):
        received, moves = torch.zeros_like(h), torch.zeros_like(x)
        for j, i, r in edges:
            square = (x[i] - x[j]).square().sum()
            edge = torch.cat([field.radial(r[None])[0], square[None] / 16])
            m = layer.message(layer.centre(h[i]) + layer.neighbour(h[j]) + layer.edge(edge))
            w = field.envelope(r)
            received[i] += w * m
            if move and number < 2:
                moves[i] += w * layer.mover(m) * (x[i] - x[j]) / (1 + (square + 1e-6).sqrt())
        h, x = h + layer.node(torch.cat([h, received], 1)), x + moves
    torch.testing.assert_close(features(field, batch), h.detach(), rtol=1e-10, atol=1e-10)


def test_pna_is_its_equations_atom_by_atom():
    field = make("pna")
    batch = batch_of(lattice(3, 2.2, NUMBERS, pbc=False), field)
    h = field.embedding(field.row_of_element[batch.numbers])
    ends, positions = batch.edge_index.T.tolist(), batch.positions
    for layer in field.representation.layers:
        updates = []
        for i in range(len(h)):
            neighbours = [j for j, destination in ends if destination == i]
            r = (positions[neighbours] - positions[i]).norm(dim=1)
            w = field.envelope(r)[:, None]
            m = silu(layer.centre(h[i]) + layer.neighbour(h[neighbours]) + layer.edge(field.radial(r)))
            n = 1 + w.sum()
            mean = (w * m).sum(0) / n
            deviations = (w * (m - mean).square()).sum(0) + mean.square()  # the virtual neighbour's is its own mean
            std = (deviations / n + 0.01).sqrt()
            largest, smallest = torch.log1p((w * m.exp()).sum(0)), -torch.log1p((w * (-m).exp()).sum(0))
            identity, more, less = layer.statistics(torch.cat([mean, smallest, largest, std])).split(16)
            scale = torch.log(n + 1) / math.log(12)
            updates.append(layer.out(silu(layer.itself(h[i]) + identity + scale * more + less / scale)))
        h = h + torch.stack(updates)
    torch.testing.assert_close(features(field, batch), h.detach(), rtol=1e-10, atol=1e-10)


def test_soft_extremes_do_not_overflow():
    field = make("pna", torch.float32)
    with torch.no_grad():
        for layer in field.representation.layers:
            layer.edge.weight.mul_(1e3)
    prediction = field(batch_of(lattice(2, 2.2, NUMBERS), field))
    assert prediction.energy.isfinite().all() and prediction.forces.isfinite().all()


def test_bessel_functions_are_those_of_dimenet():
    """But for the factor sqrt(2 / c) / c, which PyG leaves out."""
    distance = torch.linspace(0.3, 4.9, 50, dtype=torch.float64)
    pyg = BesselBasisLayer(8, 5.0, envelope_exponent=5)
    ours = Bessel(8, 5.0)(distance) * PolynomialCutoff(5.0)(distance)[:, None]
    torch.testing.assert_close(ours, pyg(distance) * math.sqrt(2 / 5) / 5, rtol=1e-5, atol=1e-6)


def test_gaussians_are_those_of_pyg():
    distance = torch.linspace(0, 6, 50)
    pyg = PyGSchNet(num_gaussians=30, cutoff=5.0).distance_expansion
    torch.testing.assert_close(Gaussians(30, 5.0)(distance), pyg(distance), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("envelope", "order"), [(CosineCutoff(5.0), 1), (PolynomialCutoff(5.0), 2)])
def test_cutoffs_fade_smoothly(envelope: torch.nn.Module, order: int):
    r = torch.tensor([0.0, 2.5, 5.0, 7.0], dtype=torch.float64, requires_grad=True)
    value = envelope(r)
    np.testing.assert_allclose(value.detach()[[0, 2, 3]], [1, 0, 0], atol=1e-12)
    assert 0 < value[1] < 1
    for _ in range(order):
        (value,) = torch.autograd.grad(value.sum(), r, create_graph=True)
        np.testing.assert_allclose(value.detach()[[0, 2, 3]] if order == 2 else value.detach()[2:], 0, atol=1e-10)
