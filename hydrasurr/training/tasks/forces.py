"""Energies, forces and stresses of structures.

The loss of a batch of structures s with N_s atoms is, for energies E, force components F and stress components S
against their labels (hats)::

    L = (w_E <l((E - Ê) / (N sigma))> + w_F <l((F - F̂) / sigma)> + w_S <l((S - Ŝ) / sigma)>) / (w_E + w_F + w_S)

where <> is the mean over the labels that are there: structures, 3 components of each atom, 9 components of each stress.
sigma is the root mean square force component of the training split; where there are no forces, or all vanish, the
standard deviation of the energies per atom. Its number in eV/Å divides energies per atom in eV, forces in eV/Å and
stresses in eV/Å³ alike: for l(d) = d² the loss is, but for a factor, the mean square errors in these units with the
weights w; l of "mae" is |d|, that of "huber" turns from d²/2 to |d| - 1/2 at 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hydrasurr.errors import ConfigError
from hydrasurr.graphs.schema import ELEMENTS, Target
from hydrasurr.graphs.table import GraphTable
from hydrasurr.loading import AtomsBatch
from hydrasurr.loading.radius_graphs import RadiusGraphs
from hydrasurr.models.ensemble import Ensemble
from hydrasurr.models.force_field.config import ForceFieldConfig
from hydrasurr.models.force_field.network import ForceField, ForcePrediction
from hydrasurr.stores.info import DatasetInfo
from hydrasurr.training.config import LossWeights
from hydrasurr.training.losses import Loss
from hydrasurr.training.metrics import Metrics, MetricSums
from hydrasurr.training.tasks.base import Comparison

MILLI = 1000
"""eV to meV."""

_NOISE = 1e-6
"""eV/Å or eV: what is smaller is rounding, such as forces that vanish by symmetry."""

COLUMNS = {"energy": "y", "forces": "force", "stress": "stress"}
"""Where each kind of label is in a data set."""

METRICS = {
    "energy": (Target("energy_per_atom", "meV/atom"), Target("energy", "meV")),
    "forces": (Target("forces", "meV/Å", "node"),),
    "stress": (Target("stress", "meV/Å³"),),
}
"""What people are told of each kind; the first one counts for the score. Energies are above the reference energies."""


@dataclass(frozen=True)
class ForceTask:
    """The kinds of labels that are learnt, or compared with, and how.

    Attributes
    ----------
    kinds, weights : those of COLUMNS that there are, in its order, and their weights in the loss; 0: only compared with
    scale : the sigma of the loss, eV/Å
    reference_energies : float64 `[119]`, of an atom by atomic number, eV; those of the data set, all with the same
        number added, after which the energies of the training split are in the mean (over structures) 0 per atom
    graphs : makes the batches
    """

    kinds: tuple[str, ...]
    weights: tuple[float, ...]
    scale: float
    reference_energies: np.ndarray
    graphs: RadiusGraphs

    @classmethod
    def choose(cls, info: DatasetInfo, model: ForceFieldConfig, weights: LossWeights) -> ForceTask:
        """Raises ConfigError if the data set has no structures, no labels with a weight, or too short edges."""
        graphs = RadiusGraphs.of(info, model.cutoff)
        facts = info.structures
        chosen = {kind: getattr(weights, kind) for kind in COLUMNS if facts.labelled.get(kind)}
        if not (chosen.get("energy") or chosen.get("forces")):
            there = ", ".join(kind for kind, count in facts.labelled.items() if count) or "none"
            raise ConfigError(
                f"training.loss_weights: nothing to learn a force field from in '{info.name}'; its structures have "
                f"labels of: {there}"
            )
        references = np.zeros(len(ELEMENTS))
        for number, energy in facts.atomic_energies.items():
            references[number] = energy + facts.energy_mean  # energies of free atoms leave out all binding
        scale = next((size for size in (facts.force_rms, facts.energy_std) if size > _NOISE), 1.0)
        return cls(tuple(chosen), tuple(chosen.values()), scale, references, graphs)

    @classmethod
    def of(cls, network: ForceField, kinds: Sequence[str], graphs: RadiusGraphs) -> ForceTask:
        """What a trained network can be compared with."""
        references = network.reference_energies.cpu().numpy()
        return cls(tuple(kinds), (1.0,) * len(kinds), float(network.scale), references, graphs)

    @property
    def targets(self) -> tuple[Target, ...]:
        return tuple(target for kind in self.kinds for target in METRICS[kind])

    @property
    def columns(self) -> list[str]:
        return [*self.graphs.columns, *(COLUMNS[kind] for kind in self.kinds)]

    def prepare(self, table: GraphTable) -> GraphTable:
        return self.graphs.prepare(table)

    def collate(self, table: GraphTable) -> AtomsBatch:
        return self.graphs.collate(table)

    def build(self, model: ForceFieldConfig, info: DatasetInfo) -> ForceField:
        network = ForceField(model, info.structures.elements, self.reference_energies, self.scale)
        if "energy" not in self.kinds:
            network.readout[-1].bias.requires_grad_(False)  # forces do not depend on it, and DDP would wait for it
        return network

    def combine(self, networks: Sequence[ForceField]) -> Ensemble:
        return Ensemble(networks)

    def predict(self, network: nn.Module, batch: AtomsBatch) -> ForcePrediction | list[ForcePrediction]:
        return network(batch, stress="stress" in self.kinds)

    def standardised(self, network: nn.Module, prediction: ForcePrediction, batch: AtomsBatch) -> list[Comparison]:
        predicted, labels = self._predicted(prediction, batch), self._labels(batch)
        return [Comparison(predicted[kind] / self.scale, labels[kind] / self.scale) for kind in self.kinds]

    def physical(
        self, network: nn.Module, prediction: ForcePrediction | list[ForcePrediction], batch: AtomsBatch
    ) -> list[Comparison]:
        members = prediction if isinstance(prediction, list) else [prediction]
        predicted, labels = [self._predicted(member, batch) for member in members], self._labels(batch)
        atoms = _atoms(batch)
        compared = []
        for kind in self.kinds:
            values, label = torch.stack([member[kind] for member in predicted]) * MILLI, labels[kind] * MILLI
            if kind == "energy":
                values, label = (torch.cat([energy, energy * atoms], dim=-1) for energy in (values, label))
            std = values.std(dim=0, correction=0) if len(members) > 1 else None
            compared.append(Comparison(values.mean(dim=0), label, std))
        return compared

    def _predicted(self, prediction: ForcePrediction, batch: AtomsBatch) -> dict[str, Tensor]:
        stress = None
        if prediction.virial is not None:
            volume = torch.linalg.det(batch.cell).abs()
            # Without a volume there is no label either; what is predicted must only be finite.
            stress = -prediction.virial / torch.where(volume > 0, volume, 1.0)[:, None, None]
        return self._columns_of(prediction.energy, prediction.forces, stress, batch)

    def _labels(self, batch: AtomsBatch) -> dict[str, Tensor]:
        return self._columns_of(batch.energy, batch.forces, batch.stress, batch)

    def _columns_of(
        self, energy: Tensor | None, forces: Tensor | None, stress: Tensor | None, batch: AtomsBatch
    ) -> dict[str, Tensor]:
        """Energies per atom above the reference energies `[S, 1]`, forces `[3 N, 1]` and stresses `[9 S, 1]`."""
        columns = {}
        if energy is not None:
            columns["energy"] = (energy - self.references(batch))[:, None] / _atoms(batch)
        for kind, values in (("forces", forces), ("stress", stress)):
            if values is not None:
                columns[kind] = values.reshape(-1, 1)
        return columns

    def references(self, batch: AtomsBatch) -> Tensor:
        """float64 `[S]`, eV: the sum of the reference energies of each structure's atoms."""
        atomic = torch.from_numpy(self.reference_energies).to(batch.numbers.device)[batch.numbers]
        return atomic.new_zeros(batch.num_graphs).index_add(0, batch.system_index, atomic)

    def loss(self, kind: str) -> Loss:
        return Loss(kind, self.weights, exact_counts=True)

    def sums(self) -> MetricSums:
        return MetricSums(self.targets, np.zeros(len(self.targets)))

    def score(self, metrics: Metrics, kind: str) -> float:
        """The weighted mean over kinds of MAE / sigma; for MSE the root of the weighted mean of (RMSE / sigma)^2."""
        key, power = ("rmse", 2) if kind == "mse" else ("mae", 1)
        terms = [
            (weight, (metrics[METRICS[name][0].name][key] / MILLI / self.scale) ** power)
            for name, weight in zip(self.kinds, self.weights, strict=True)
            if weight and metrics[METRICS[name][0].name]["count"]
        ]
        total = sum(weight for weight, _ in terms)
        return (sum(weight * value for weight, value in terms) / total) ** (1 / power) if terms else math.inf


def _atoms(batch: AtomsBatch) -> Tensor:
    """int64 `[S, 1]`: the number of atoms of each structure."""
    return torch.bincount(batch.system_index, minlength=batch.num_graphs)[:, None]
