"""The trained model as other codes call it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from hydrasurr.errors import HydrasurrError
from hydrasurr.graphs.schema import Target
from hydrasurr.graphs.table import GraphTable
from hydrasurr.loading.batch import GraphBatch
from hydrasurr.models.ensemble import Ensemble
from hydrasurr.models.folded_pna import FoldedPNA
from hydrasurr.models.force_field.network import ForceField
from hydrasurr.models.network import Physical
from hydrasurr.models.small_batch import SmallBatchPNA

if TYPE_CHECKING:
    from hydrasurr.surrogate.potentials.network import NetworkPotential

MAX_ATOMS = 65_536
"""Largest molecule a surrogate takes; far beyond what it was trained on, so only a guard."""


@dataclass(frozen=True)
class Predictions:
    """Values of the graph-level targets for a list of molecules, in the order asked.

    Attributes
    ----------
    targets : names and units
    values : float64 `[molecules, targets]` in each target's unit; NaN where there is no prediction
    std : the same shape, standard deviation of the prediction; None if the model gives no uncertainty
    reasons : for each molecule why there is no prediction, an empty string where there is one
    """

    targets: tuple[Target, ...]
    values: np.ndarray
    std: np.ndarray | None
    reasons: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, name: str) -> np.ndarray:
        """float64 `[molecules]`: the values of one target. Raises KeyError if there is none of that name."""
        names = [target.name for target in self.targets]
        if name not in names:
            raise KeyError(f"no target '{name}'; this model predicts {', '.join(names)}")
        return self.values[:, names.index(name)]

    @property
    def units(self) -> dict[str, str]:
        return {target.name: target.unit for target in self.targets}


class Surrogate:
    """A trained model, or an ensemble of them, that answers queries; use `hydrasurr.load` to get one.

    Needs no process group and no data set. Several threads may query one object at the same time.

    Parameters
    ----------
    ensemble : the networks, in eval mode
    notes : where they come from
    device : where to compute
    batch_size : molecules computed at a time
    """

    def __init__(
        self,
        ensemble: Ensemble,
        notes: dict[str, Any] | None = None,
        device: str | torch.device = "cpu",
        batch_size: int = 256,
    ):
        self.ensemble = ensemble.to(device).eval().requires_grad_(False)
        self.notes, self.device, self.batch_size = notes or {}, torch.device(device), batch_size
        self.has_uncertainty = ensemble.has_uncertainty
        first = ensemble.networks[0]
        self.schema = first.schema
        self.targets = tuple(target for target in first.targets if target.level == "graph")
        self.node_targets = tuple(target for target in first.targets if target.level == "node")
        folded = all(map(FoldedPNA.applies, ensemble.networks))
        self._folded = list(map(FoldedPNA, ensemble.networks)) if folded else []
        self._small = list(map(SmallBatchPNA, self._folded))
        self._rdkit = threading.Lock()

    def predict(self, smiles: str | Sequence[str]) -> Predictions:
        """Predict the graph-level targets of molecules. Bad SMILES give NaN and a reason, never an error."""
        from hydrasurr.graphs.smiles import featurize

        smiles = [smiles] if isinstance(smiles, str) else list(smiles)
        values = np.full((len(smiles), len(self.targets)), np.nan)
        stds = np.full_like(values, np.nan) if self.has_uncertainty else None
        reasons = [""] * len(smiles)
        for start in range(0, len(smiles), self.batch_size):
            chunk = smiles[start : start + self.batch_size]
            with self._rdkit:  # featurize silences RDKit's log, which is global
                graphs = featurize(chunk, self.schema, MAX_ATOMS)
            for reject in graphs.rejects:
                reasons[start + reject.index] = reject.reason
            if not len(graphs.table):
                continue
            mean, std = self._compute(graphs.table)
            rows = start + graphs.accepted
            values[rows] = mean
            if stds is not None:
                stds[rows] = std
        return Predictions(self.targets, values, stds, tuple(reasons))

    def predict_table(self, table: GraphTable) -> Predictions:
        """Predict graphs that are already a table made with this model's schema."""
        parts = [self._compute(table[a : a + self.batch_size]) for a in range(0, len(table), self.batch_size)]
        empty = np.empty((0, len(self.targets)))
        values = np.concatenate([empty, *(mean for mean, _ in parts)])
        std = np.concatenate([empty, *(std for _, std in parts)]) if self.has_uncertainty else None
        return Predictions(self.targets, values, std, ("",) * len(table))

    def predict_nodes(self, table: GraphTable) -> np.ndarray:
        """float64 `[N, node targets]` for the nodes of a table, in their order, in each target's unit."""
        if not self.node_targets:
            raise HydrasurrError("this model has no node-level targets")
        parts = []
        for start in range(0, len(table), self.batch_size):
            batch = GraphBatch.from_table(table[start : start + self.batch_size]).to(self.device)
            parts.append(batch.in_table_order(self._query(batch).node).double().cpu().numpy())
        return np.concatenate(parts)

    def save(self, path: str | Path) -> None:
        """Write the model as one file, which `hydrasurr.load` reads anywhere."""
        from hydrasurr.models.package import save_package

        save_package(path, list(self.ensemble.networks), self.notes)

    @torch.inference_mode()
    def _query(self, batch: GraphBatch) -> Physical:
        ways = (self._small, self._folded, self.ensemble.networks)
        fastest = next(way for way in ways if way is ways[-1] or (way and all(one.takes(batch) for one in way)))
        return self.ensemble.physical([network(batch) for network in fastest])

    def _compute(self, table: GraphTable) -> tuple[np.ndarray, np.ndarray | None]:
        result = self._query(GraphBatch.from_table(table).to(self.device))
        std = result.graph_std
        return result.graph.cpu().numpy(), None if std is None else std.cpu().numpy()


def load(
    path: str | Path | Sequence[str | Path], device: str | torch.device = "cpu"
) -> Surrogate | NetworkPotential:
    """Load a trained model: a run folder, an exported file, or several of either as one ensemble.

    A network for properties of molecules becomes a Surrogate, which is asked with SMILES. A force field becomes a
    Potential: `energy, forces, virial = load("runs/ethanol")(numbers, positions)`.

    `device` is "cpu", "cuda", "cuda:1", ..., or "auto": CUDA where there is one.

    Raises HydrasurrError if there is none, or if several differ in features or targets.
    """
    networks, notes = load_networks(path, device)
    device = next(networks[0].parameters()).device
    if isinstance(networks[0], ForceField):
        from hydrasurr.surrogate.potentials.network import NetworkPotential

        return NetworkPotential(networks, device)
    return Surrogate(Ensemble(networks), notes, device)


def load_networks(
    path: str | Path | Sequence[str | Path], device: str | torch.device = "cpu"
) -> tuple[list[nn.Module], dict[str, Any]]:
    """The networks of `load` on a device, and the notes on where the first one comes from. Raises as `load` does."""
    from hydrasurr.models.package import load_package

    device = _find_device(device)
    files = [file for p in ([path] if isinstance(path, str | Path) else path) for file in model_files(p)]
    packages = [load_package(file) for file in files]
    networks = [network for package in packages for network in package.networks]
    for file, package in zip(files, packages, strict=True):
        _require_alike(networks[0], package.networks[0], files[0], file)
    return [network.to(device) for network in networks], packages[0].notes


def _require_alike(first: nn.Module, other: nn.Module, file: Path, other_file: Path) -> None:
    """Raise HydrasurrError unless two networks predict the same of the same."""
    if type(first) is not type(other):
        raise HydrasurrError(f"of '{file}' and '{other_file}' only one is a force field; they are no ensemble")
    if isinstance(first, ForceField):
        if first.elements != other.elements:
            raise HydrasurrError(f"'{other_file}' is for other elements than '{file}'; they are no ensemble")
        return
    first.schema.require(other.schema, f"'{other_file}'")
    if first.targets != other.targets:
        raise HydrasurrError(f"'{other_file}' predicts other targets than '{file}'; they are no ensemble")


def _find_device(device: str | torch.device) -> torch.device:
    """A device by name. Raises HydrasurrError if there is no such thing here."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:  # what torch raises depends on how it was built
        raise HydrasurrError(f"cannot use the device '{device}': {error}") from error


def model_files(path: str | Path) -> list[Path]:
    """The model file of a run folder (of an unfinished run the best of each member so far), or the file `path`."""
    path = Path(path)
    if not path.is_dir():
        return [path]
    finished = path / "surrogate.safetensors"
    best = "checkpoints/best.safetensors"
    files = [finished] if finished.is_file() else sorted([*path.glob(best), *path.glob(f"members/*/{best}")])
    if not files:
        raise HydrasurrError(f"no trained model in '{path}': no epoch of a training has ended there yet")
    return files
