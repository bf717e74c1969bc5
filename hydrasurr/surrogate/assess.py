"""A trained model against the labels of a data set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from pathlib import Path

import numpy as np
from torch import nn

from hydrasurr.errors import ConfigError, HydrasurrError, StructureError
from hydrasurr.graphs.schema import Target
from hydrasurr.loading import Share
from hydrasurr.loading.radius_graphs import RadiusGraphs
from hydrasurr.models.force_field.network import ForceField
from hydrasurr.stores import SPLITS, GraphStore, Split, open_store
from hydrasurr.surrogate.assess_csv import ForceWriter, PropertyWriter, check_writable
from hydrasurr.surrogate.predictor import load_networks
from hydrasurr.surrogate.structure_file import TableSplit, read_structures
from hydrasurr.training.evaluation import evaluate
from hydrasurr.training.metrics import Metrics
from hydrasurr.training.tasks import ForceTask, PropertyTask
from hydrasurr.training.tasks.forces import COLUMNS


def assess(
    run_dir: str | Path,
    dataset: str | Path | None = None,
    split: str = "all",
    out: str | Path | None = None,
    device: str = "cpu",
    batch_size: int = 256,
) -> tuple[dict[str, Metrics], dict[str, str]]:
    """Metrics of a model on splits of a data set, and the unit of each target.

    Parameters
    ----------
    run_dir : a run folder or an exported model
    dataset : a data set with the labels that the model predicts (targets of the same names); for a force field also
        any file of structures that ASE reads, whose only split has the name of the file; None: the data set that the
        run was trained on
    split : "train", "val", "test", or "all" for each that has graphs
    out : CSV file for predictions and labels, one row a graph

    Raises SchemaError if the data set was featurized otherwise than the model's, HydrasurrError if it lacks a target,
    StructureError if it has elements that a force field does not know, ConfigError if `out` cannot be written.
    """
    if out:
        check_writable(out)
    networks, _ = load_networks(run_dir, device)
    dataset = dataset or _training_data(Path(run_dir))
    choose = _force_field if isinstance(networks[0], ForceField) else _properties
    task, splits = choose(networks, Path(dataset), split)
    network = task.combine(networks).eval().requires_grad_(False)
    write = ForceWriter if isinstance(task, ForceTask) else PropertyWriter
    results = {}
    with closing(write(out, task)) if out else nullcontext() as writer:
        for name, graphs in splits.items():
            visit = writer.visitor(name, graphs) if writer else None
            results[name] = evaluate(network, task, graphs, Share(), batch_size, visit).metrics()
    return results, {target.name: target.unit for target in task.targets}


def _training_data(run_dir: Path) -> str:
    config = run_dir / "config.json"
    if not config.is_file():
        raise HydrasurrError(f"'{run_dir}' is no run folder, so the data set has to be named")
    return json.loads(config.read_text())["data"]["dataset"]


def _splits(store: GraphStore, split: str) -> dict[str, Split]:
    names = [name for name in SPLITS if store.info.graphs[name]] if split == "all" else [split]
    return {name: store[name] for name in names}


# -- properties ---------------------------------------------------------------------------------------


def _properties(networks: Sequence[nn.Module], dataset: Path, split: str) -> tuple[PropertyTask, dict[str, Split]]:
    """Raises HydrasurrError if the data set lacks one of the model's targets, or has it in another unit."""
    store, first = open_store(dataset), networks[0]
    first.schema.require(store.info.feature_schema, f"'{dataset}'")
    targets = sorted(first.targets, key=lambda target: target.level != "graph")
    _require_targets(targets, {target.name: target for target in store.info.targets}, store.info.name)
    return PropertyTask.of(targets, [1.0] * len(targets), store.info), _splits(store, split)


def _require_targets(targets: Sequence[Target], known: Mapping[str, Target], where: str) -> None:
    for target in targets:
        if target.name not in known:
            raise HydrasurrError(f"'{where}' has no target '{target.name}'; it has {', '.join(known) or 'none'}")
        if known[target.name] != target:
            theirs = known[target.name]
            raise HydrasurrError(
                f"target '{target.name}' is a {theirs.level} property in {theirs.unit or 'no unit'} in '{where}', "
                f"a {target.level} property in {target.unit or 'no unit'} in the model"
            )


# -- force fields -------------------------------------------------------------------------------------


def _force_field(networks: Sequence[ForceField], dataset: Path, split: str) -> tuple[ForceTask, dict[str, Split]]:
    first = networks[0]
    if dataset.is_file():
        if split != "all":
            raise ConfigError(f"'{dataset}' is a file without splits; leave out --split {split}")
        table = read_structures(dataset)
        _require_elements(first, table.x, dataset)
        return ForceTask.of(first, _labels(table.columns), RadiusGraphs(first.config.cutoff)), {
            dataset.stem: TableSplit(table)
        }
    store = open_store(dataset)
    graphs = RadiusGraphs.of(store.info, first.config.cutoff)
    _require_elements(first, np.array(store.info.structures.elements), dataset)
    splits = _splits(store, split)
    labels = _labels(next((graphs.read(0, 1).columns for graphs in splits.values() if len(graphs)), {}))
    if not labels:
        raise HydrasurrError(f"'{dataset}' has no energies, forces or stresses to compare with")
    return ForceTask.of(first, labels, graphs), splits


def _require_elements(network: ForceField, numbers: np.ndarray, dataset: Path) -> None:
    try:
        network.require_elements(numbers)
    except StructureError as error:
        raise StructureError(f"'{dataset}': {error}") from None


def _labels(columns: Mapping[str, np.ndarray]) -> list[str]:
    return [kind for kind, column in COLUMNS.items() if column in columns]
