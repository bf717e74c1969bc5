"""A trained graph neural network, or a committee of them, as a potential."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hydrasurr.errors import HydrasurrError
from hydrasurr.graphs.neighbours import Pairs
from hydrasurr.graphs.systems import Systems
from hydrasurr.loading.atoms_batch import AtomsBatch
from hydrasurr.models.force_field.network import ForceField
from hydrasurr.surrogate.potentials.contract import Evaluation, Potential


@dataclass(frozen=True)
class CommitteeEvaluation(Evaluation):
    """The mean of several networks, and how far they disagree: a sign of where to distrust them.

    Attributes
    ----------
    energy_std : float64 `[S]`, standard deviation over the members, eV
    forces_std : float64 `[N, 3]`, eV/Angstrom
    """

    energy_std: np.ndarray
    forces_std: np.ndarray

    def __radd__(self, other: Evaluation) -> CommitteeEvaluation:
        return self + other  # the spread stays, too, where the committee is a later term of a sum


class NetworkPotential(Potential):
    """Evaluates all systems at once; geometry and sums are float64, the networks compute in the type of their weights.

    Several networks are a committee: `compute` gives their mean, as a CommitteeEvaluation.

    Parameters
    ----------
    networks : force fields; they are moved to the device and type asked for, and no longer trained
    device : where to compute
    dtype : "float32" or "float64", of the weights; None: as they are
    r_min : the smallest distance of training by pair of elements (`{"O-H": 0.9}`), Angstrom, as `guarded` takes it
    """

    def __init__(
        self,
        networks: ForceField | Sequence[ForceField],
        device: str | torch.device = "cpu",
        dtype: str | None = None,
        r_min: Mapping[str, float] | None = None,
    ):
        networks = [networks] if isinstance(networks, ForceField) else list(networks)
        if not networks:
            raise ValueError("a potential needs at least one network")
        self.networks = [network.to(device).eval().requires_grad_(False) for network in networks]
        if dtype is not None:
            types = {"float32": torch.float32, "float64": torch.float64}
            if dtype not in types:
                raise HydrasurrError(f"no type '{dtype}' for the weights of a network; known: {', '.join(types)}")
            self.networks = [network.set_dtype(types[dtype]) for network in self.networks]
        self.device = torch.device(device)
        self.cutoff = max(network.config.cutoff for network in networks)
        self.r_min = {pair: bound for pair, bound in (r_min or {}).items() if bound < self.cutoff}

    @classmethod
    def load(
        cls, path: str | Path | Sequence[str | Path], device: str | torch.device = "cpu", dtype: str | None = None
    ) -> NetworkPotential:
        """From a run folder, an exported file, or several of either as one committee.

        `device` is "cpu", "cuda", ..., or "auto". Raises HydrasurrError if there is no force field in it.
        """
        from hydrasurr.surrogate.predictor import load_networks

        networks, notes = load_networks(path, device)
        if not isinstance(networks[0], ForceField):
            raise HydrasurrError(f"'{path}' predicts properties of molecules; it is not a force field")
        return cls(networks, next(networks[0].parameters()).device, dtype, notes.get("r_min"))

    def compute(self, systems: Systems, pairs: Pairs) -> Evaluation:
        """Raises StructureError for elements that the networks were not trained on."""
        for network in self.networks:
            network.require_elements(systems.numbers)
        batch = AtomsBatch.from_systems(systems, pairs.within(self.cutoff)).to(self.device)
        members = [self._member(network, batch) for network in self.networks]
        if len(members) == 1:
            return members[0]
        energy, forces, virial = (np.stack(parts) for parts in zip(*map(_arrays, members), strict=True))
        return CommitteeEvaluation(energy.mean(0), forces.mean(0), virial.mean(0), energy.std(0), forces.std(0))

    @staticmethod
    @torch.no_grad()
    def _member(network: ForceField, batch: AtomsBatch) -> Evaluation:
        prediction = network(batch, stress=True)
        return Evaluation(*(x.cpu().numpy() for x in (prediction.energy, prediction.forces, prediction.virial)))


def _arrays(evaluation: Evaluation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return evaluation.energy, evaluation.forces, evaluation.virial
