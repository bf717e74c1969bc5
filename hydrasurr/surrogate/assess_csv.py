"""Labels and predictions of an assessment as a CSV file, one row a graph."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import torch
from torch import Tensor

from hydrasurr.errors import ConfigError
from hydrasurr.loading import AtomsBatch, GraphBatch
from hydrasurr.stores import Split
from hydrasurr.training.evaluation import Visitor
from hydrasurr.training.tasks import Comparison, ForceTask, PropertyTask
from hydrasurr.training.tasks.forces import MILLI


def check_writable(path: str | Path) -> None:
    """Raise ConfigError if there can be no such file, before long work whose results would go there."""
    path = Path(path)
    if path.is_dir():
        raise ConfigError(f"cannot write '{path}', which is a folder; --out names a CSV file")
    if not path.parent.is_dir():
        raise ConfigError(f"cannot write '{path}': no folder '{path.parent}'; make it, or choose another --out")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ConfigError(f"cannot write '{path}': permission denied; choose another --out")


class _Writer:
    def __init__(self, path: str | Path, header: list[str]):
        self._file = Path(path).open("w", newline="")  # noqa: SIM115 (closed by close)
        self._csv = csv.writer(self._file)
        self._csv.writerow(header)

    def close(self) -> None:
        self._file.close()


class PropertyWriter(_Writer):
    """Split, row of the source table, SMILES, then label, prediction and standard deviation of graph-level targets."""

    def __init__(self, path: str | Path, task: PropertyTask):
        self._names = [target.name for target in task.targets if target.level == "graph"]
        header = [f"{name}{suffix}" for name in self._names for suffix in ("", "_predicted", "_std")]
        super().__init__(path, ["split", "row", "smiles", *header])

    def visitor(self, split: str, graphs: Split) -> Visitor:
        position = 0

        def visit(batch: GraphBatch, compared: list[Comparison]) -> None:
            nonlocal position
            table = graphs.read(position, position + batch.num_graphs, ["row", "smiles"])
            position += batch.num_graphs
            if not self._names:
                return
            graph = compared[0]
            std = torch.full_like(graph.labels, torch.nan) if graph.uncertainty is None else graph.uncertainty
            values = torch.stack([graph.labels, graph.values, std], dim=2).flatten(1).cpu().tolist()
            for row, smiles, numbers in zip(table.columns["row"].tolist(), table.smiles(), values, strict=True):
                self._csv.writerow([split, row, smiles, *map(_number, numbers)])

        return visit


class ForceWriter(_Writer):
    """Split, number of the structure in it from 0, atoms; total energy, prediction and standard deviation, in eV; of
    the force components of the structure the mean and the largest absolute error, in meV/Å."""

    def __init__(self, path: str | Path, task: ForceTask):
        self._task = task
        energies = ["energy", "energy_predicted", "energy_std"] if "energy" in task.kinds else []
        forces = ["force_mae", "force_max_error"] if "forces" in task.kinds else []
        super().__init__(path, ["split", "number", "atoms", *energies, *forces])

    def visitor(self, split: str, graphs: Split) -> Visitor:
        position = 0

        def visit(batch: AtomsBatch, compared: list[Comparison]) -> None:
            nonlocal position
            by_kind = dict(zip(self._task.kinds, compared, strict=True))
            columns = [torch.bincount(batch.system_index, minlength=batch.num_graphs)]
            if "energy" in by_kind:
                energy = by_kind["energy"]
                references = self._task.references(batch)
                columns += [(values[:, 1] / MILLI + references) for values in (energy.labels, energy.values)]
                std = energy.uncertainty
                columns.append(torch.full_like(references, torch.nan) if std is None else std[:, 1] / MILLI)
            if "forces" in by_kind:
                columns += _force_errors(by_kind["forces"], batch)
            for numbers in zip(*(column.tolist() for column in columns), strict=True):
                atoms, *rest = numbers
                self._csv.writerow([split, position, atoms, *(_number(value, digits=12) for value in rest)])
                position += 1

        return visit


def _force_errors(forces: Comparison, batch: AtomsBatch) -> list[Tensor]:
    """Mean and largest absolute error `[S]` of the components of each structure; NaN where some have no label."""
    error = (forces.values - forces.labels).abs().reshape(-1, 3)
    index = batch.system_index[:, None].expand_as(error)
    zeros = error.new_zeros(batch.num_graphs, 3)
    mean = zeros.scatter_reduce(0, index, error, "mean", include_self=False).mean(1)
    return [mean, zeros.scatter_reduce(0, index, error, "amax").amax(1)]


def _number(value: float, digits: int = 8) -> str:
    return "" if value != value else f"{value:.{digits}g}"
