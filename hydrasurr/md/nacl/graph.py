"""A small graph network fitted to the forces of reciprocal space."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from hydrasurr.graphs.neighbours import NeighbourList
from hydrasurr.loading.atoms_batch import AtomsBatch
from hydrasurr.md.nacl.far import Labelled
from hydrasurr.md.nacl.settings import GraphSettings
from hydrasurr.models.force_field.config import ForceFieldConfig
from hydrasurr.models.force_field.network import ForceField

CLIP = 10.0
"""Norm of the gradient; the first steps of a network with forces by differentiation may be wild."""


def build_graph(settings: GraphSettings, elements: tuple[int, ...], scale: float = 1.0) -> ForceField:
    """Before training; `scale` in eV, see ForceField."""
    config = ForceFieldConfig(
        representation=settings.representation, cutoff=settings.cutoff, width=settings.width, layers=settings.layers
    )
    return ForceField(config, elements, scale=scale)


def fit_graph(
    labels: Labelled, settings: GraphSettings, elements: tuple[int, ...], seed: int, advance: Callable[[], None]
) -> ForceField:
    """A force field of the far forces alone, float32: a frame a step, by Adam with half a cosine."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    targets = [torch.from_numpy(far.forces) for far in labels.far]
    scale = float(torch.cat(targets).square().mean().sqrt())
    network = build_graph(settings, elements, scale)
    search = NeighbourList(settings.cutoff)
    batches = [AtomsBatch.from_systems(frame.systems, search.pairs(frame.systems)) for frame in labels.frames]
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    for _ in range(settings.steps):
        frame = int(rng.integers(len(batches)))
        error = (network(batches[frame]).forces - targets[frame]) / scale
        optimizer.zero_grad()
        error.square().mean().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimizer.step()
        schedule.step()
        advance()
    return network.eval().requires_grad_(False)
