"""Fitting a pair network to the forces of reference frames.

After X. Shen et al., PNNL-38353 (2025), section 3: a mini-batch is one frame and 200 of its particles drawn at
random, forces are standardised, the optimiser is Adam. The number of neighbours is not limited (the report: 128).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from pydantic import Field
from torch import Tensor, nn

from hydrasurr.errors import HydrasurrError
from hydrasurr.graphs.neighbours import NeighbourList
from hydrasurr.graphs.schema import ELEMENTS
from hydrasurr.graphs.systems import Systems
from hydrasurr.graphs.table import offsets_from_counts
from hydrasurr.models.pair_mlp import PairMLP, PairSpec, Width, element_pairs, kind_table
from hydrasurr.strict import Strict

WATCHED = 2000
"""Particles of the training and of the test frames whose error is followed during the fit."""
RARE = 32
"""r_min is the distance that this many pairs of the training frames (but no more than 1 % of them) are below: the few
closest of all are met too seldom for the network to learn the force between them."""
ATOMS_AT_ONCE = 1000
"""Of an evaluation: about as many pairs as stay in cache."""


class PairFitConfig(Strict):
    """How to fit a pair network."""

    cutoff: float = Field(default=8.5, gt=0)
    """Angstrom."""
    hidden: tuple[Width, ...] = Field(default=(64, 64, 64), min_length=1)
    """Widths of the hidden layers."""
    switch: float = Field(default=0.0, ge=0)
    """Angstrom before the cutoff over which the force is taken to zero, see PairSpec."""
    steps: int = Field(default=4000, ge=1)
    """Mini-batches."""
    particles: int = Field(default=200, ge=1)
    """Particles of a mini-batch; all of a frame if it has fewer."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """Of Adam at the start; it falls to zero as half a cosine."""
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    """Part of the frames, drawn at random, that is held out."""
    evaluate_every: int = Field(default=100, ge=1)
    """Steps from one entry of the history to the next."""
    seed: int = 0
    """Fixes the held-out frames, the first weights and all mini-batches."""


@dataclass(frozen=True)
class PairFit:
    """A fitted pair network and how well it does.

    Attributes
    ----------
    network : format "fp64"
    history : float64 `[K, 3]`: step, and mean squared errors of standardised force components of some training and
        some held-out particles (times `network.spec.force_scale ** 2`: eV^2/Angstrom^2)
    test_frames : int64, the held-out frames
    reference, predicted : float64 `[n, 3]`, forces on all atoms of the held-out frames, eV/Angstrom
    """

    network: PairMLP
    history: np.ndarray
    test_frames: np.ndarray
    reference: np.ndarray
    predicted: np.ndarray

    @property
    def rmse(self) -> float:
        """Root mean square error of held-out force components, eV/Angstrom."""
        return float(np.sqrt(np.mean((self.predicted - self.reference) ** 2)))

    @property
    def relative_rmse(self) -> float:
        """`rmse` in the root mean square of the reference components."""
        return self.rmse / float(np.sqrt(np.mean(self.reference**2)))


class Neighbourhoods:
    """The surroundings of each atom of all frames, so that any of them make a mini-batch at once.

    Attributes
    ----------
    offset : int64 `[N + 1]`; the neighbours of atom a are `offset[a]:offset[a + 1]`
    vector : float32 `[E, 3]`, from neighbour to atom, Angstrom
    kind : uint8 `[E]`, of the pair
    count : int64 `[frames, kinds]`, pairs of each frame
    nearest : float64 `[frames, kinds, RARE + 1]`, the smallest distances of each frame, Angstrom; infinite where
        there are no more
    """

    def __init__(self, frames: Systems, cutoff: float, elements: tuple[int, ...]):
        kinds = kind_table(elements).numpy()
        search = NeighbourList(cutoff)
        shape = len(frames), len(element_pairs(elements))
        self.count, self.nearest = np.zeros(shape, np.int64), np.full((*shape, RARE + 1), np.inf)
        counts, vector, kind = [], [], []
        for frame in range(len(frames)):
            system = frames[frame]
            half = search.pairs(system)
            of_half = kinds[system.numbers[half.i], system.numbers[half.j]]
            for k in range(shape[1]):
                distance = np.sort(half.distance[of_half == k])
                self.count[frame, k] = len(distance)
                self.nearest[frame, k, : len(distance)] = distance[: RARE + 1]
            pairs = half.both_directions()
            order = np.argsort(pairs.j, kind="stable")
            counts.append(np.bincount(pairs.j, minlength=system.num_atoms))
            vector.append(pairs.vector[order].astype(np.float32))
            kind.append(np.tile(of_half, 2)[order].astype(np.uint8))
        self.offset = offsets_from_counts(np.concatenate(counts))
        self.vector, self.kind = np.concatenate(vector), np.concatenate(kind)

    def r_min(self, frames: np.ndarray) -> np.ndarray:
        """float64 `[kinds]`: where the data of some frames begin, see RARE; infinite for kinds without a pair."""
        rank = np.minimum(RARE, self.count[frames].sum(0) // 100)
        smallest = np.sort(self.nearest[frames].transpose(1, 0, 2).reshape(len(rank), -1), axis=1)
        return smallest[np.arange(len(rank)), rank]

    def of(self, atoms: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors `[P, 3]` and kinds int64 `[P]` of all neighbours of some atoms, and the atom, `0` to `n - 1`, of
        each."""
        counts = np.diff(self.offset)[atoms]
        owner = np.arange(len(atoms)).repeat(counts)
        rows = np.arange(len(owner)) + (self.offset[atoms] - offsets_from_counts(counts)[:-1])[owner]
        return tuple(map(torch.from_numpy, (self.vector[rows], self.kind[rows].astype(np.int64), owner)))


def fit_pair(
    frames: Systems,
    forces: ArrayLike,
    config: PairFitConfig | None = None,
    on_evaluate: Callable[[int, float, float], None] | None = None,
) -> PairFit:
    """Fit a pair network to the forces `[N, 3]`, eV/Angstrom, on the atoms of two or more frames.

    Each pair of elements gets a network of its own; forces must be those of the pairs alone, so for ions subtract the
    part of k-space first. `on_evaluate` is called with each entry of the history.

    Raises HydrasurrError for forces that do not fit the frames or are all zero, too few frames, or pairs of elements
    that never come within the cutoff in the training frames.
    """
    config = config or PairFitConfig()
    forces = _checked(frames, forces)
    rng = np.random.default_rng(config.seed)
    order = rng.permutation(len(frames))
    held_out = max(1, round(config.test_fraction * len(frames)))
    test, train = np.sort(order[:held_out]), np.sort(order[held_out:])
    elements = tuple(sorted(set(frames.numbers.tolist())))
    around = Neighbourhoods(frames, config.cutoff, elements)
    spec = PairSpec(
        elements=elements,
        cutoff=config.cutoff,
        r_min=_found(around.r_min(train), elements, config.cutoff),
        force_scale=float(np.sqrt(np.mean(forces[_atoms_of(frames, train)] ** 2))),
        hidden=config.hidden,
        switch=config.switch,
    )
    network = start(spec, config.seed).float()
    watched = [rng.permutation(_atoms_of(frames, chosen))[:WATCHED] for chosen in (train, test)]

    def evaluate(step: int) -> tuple[int, float, float]:
        on_train, on_test = (predict(network, around, atoms) - forces[atoms] for atoms in watched)
        entry = step, *(float(np.mean((error / spec.force_scale) ** 2)) for error in (on_train, on_test))
        if on_evaluate:
            on_evaluate(*entry)
        return entry

    history = []
    target = torch.from_numpy(forces / spec.force_scale).float()
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    for step in range(1, config.steps + 1):
        atoms = _atoms_of(frames, train[rng.integers(len(train), size=1)])
        atoms = rng.choice(atoms, min(config.particles, len(atoms)), replace=False)
        optimizer.zero_grad()
        nn.functional.mse_loss(forces_on(network, around, atoms) / spec.force_scale, target[atoms]).backward()
        optimizer.step()
        schedule.step()
        if step % config.evaluate_every == 0 or step == config.steps:
            history.append(evaluate(step))
    network = network.double().eval().requires_grad_(False)
    atoms = _atoms_of(frames, test)
    return PairFit(network, np.array(history), test, forces[atoms], predict(network, around, atoms))


def _checked(frames: Systems, forces: ArrayLike) -> np.ndarray:
    """float64 `[N, 3]`. Raises HydrasurrError unless these forces and frames can be fitted."""
    forces = np.asarray(forces, np.float64)
    if len(frames) < 2:
        raise HydrasurrError(f"{len(frames)} frame to fit: at least two are needed, one to train and one to test")
    if forces.shape != (frames.num_atoms, 3) or not np.isfinite(forces).all():
        raise HydrasurrError(f"the forces must be finite numbers of shape ({frames.num_atoms}, 3), got {forces.shape}")
    if not forces.any():
        raise HydrasurrError("the forces are all zero: there is nothing to fit")
    return forces


def _found(r_min: np.ndarray, elements: tuple[int, ...], cutoff: float) -> tuple[float, ...]:
    """Raises HydrasurrError for a pair of elements that no distance was found of."""
    for pair, distance in zip(element_pairs(elements), r_min, strict=True):
        if not np.isfinite(distance):
            names = "-".join(ELEMENTS[number] for number in pair)
            raise HydrasurrError(f"no {names} pair is closer than {cutoff} Angstrom in the training frames")
    return tuple(r_min.tolist())


def _atoms_of(frames: Systems, chosen: np.ndarray) -> np.ndarray:
    """int64: the atoms of some frames."""
    return np.concatenate([np.arange(frames.offset[frame], frames.offset[frame + 1]) for frame in chosen])


def start(spec: PairSpec, seed: int) -> PairMLP:
    """A network before training, float64.

    The units of the first layer are steps of the distance, of many widths, most of them at short distances where
    forces are steep; from torch's default, nearly straight lines, training takes several times as many batches.
    """
    generator = torch.Generator().manual_seed(seed)
    network = PairMLP(spec)
    with torch.no_grad():
        for layers in network.networks:
            for layer in layers[2::2]:
                nn.init.xavier_uniform_(layer.weight, generator=generator)
                layer.bias.zero_()
            first = layers[0]
            steepness, place, sign = torch.rand(3, len(first.bias), dtype=torch.float64, generator=generator)
            weight = (2 + 23 * steepness).copysign(sign - 0.5)
            first.weight[:, 0] = weight
            first.bias.copy_(-weight * place**3)
    return network


def forces_on(network: PairMLP, around: Neighbourhoods, atoms: np.ndarray) -> Tensor:
    """`[n, 3]`, eV/Angstrom: the network's forces on some atoms, of the dtype of its weights."""
    vector, kind, owner = around.of(atoms)
    distance = vector.norm(dim=1)
    force = network(distance, kind)
    on_atoms = vector * (force / distance)[:, None]
    return torch.zeros(len(atoms), 3, dtype=on_atoms.dtype).index_add(0, owner, on_atoms)


@torch.inference_mode()
def predict(network: PairMLP, around: Neighbourhoods, atoms: np.ndarray) -> np.ndarray:
    """float64 `[n, 3]`: as `forces_on`, for any number of atoms."""
    parts = [forces_on(network, around, atoms[a : a + ATOMS_AT_ONCE]) for a in range(0, len(atoms), ATOMS_AT_ONCE)]
    return torch.cat(parts).double().numpy()
