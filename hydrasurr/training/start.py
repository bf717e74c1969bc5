"""Training that goes on from an earlier model."""

from __future__ import annotations

import torch
from torch import nn

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.graphs.schema import ELEMENTS
from hydrasurr.models.force_field.network import ForceField
from hydrasurr.models.package import load_package
from hydrasurr.stores.info import DatasetInfo
from hydrasurr.training.config import RunConfig
from hydrasurr.training.folder import RunFolder
from hydrasurr.training.tasks import Task

KEY = "training.start_from"


def starting_networks(config: RunConfig, task: Task, info: DatasetInfo) -> list[nn.Module] | None:
    """The networks that the members of a run start from; None if it starts from random weights.

    They keep all that belongs to their weights: the mean and standard deviation that their targets are measured in (of
    a force field the reference energies and the scale), and the degree histogram that scales the messages of PNA. So
    before its first step the new model predicts what the earlier one does, also if the data have changed.

    Raises ConfigError, naming every difference, if the earlier model is not of this run's architecture, features and
    targets, or an ensemble of another size.
    """
    path = config.training.start_from
    if path is None:
        return None
    try:
        networks = load_package(RunFolder(path).surrogate if path.is_dir() else path).networks
    except HydrasurrError as error:
        raise ConfigError(f"{KEY}: {error}") from error
    problems = _differences(networks[0], config, task, info)
    if len(networks) != config.members:
        problems.append(f"it has {len(networks)} members, the run {config.members}: each starts from its counterpart")
    if problems:
        raise ConfigError("\n".join([f"{KEY}: the run cannot start from '{path}':", *(f"  {x}" for x in problems)]))
    return networks


def _differences(network: nn.Module, config: RunConfig, task: Task, info: DatasetInfo) -> list[str]:
    if isinstance(network, ForceField) != config.is_force_field:
        return ["only one of them is a force field"]
    problems = [
        f"model.{key} is {getattr(network.config, key)} there and {getattr(config.model, key)} here"
        for key in type(config.model).model_fields
        if getattr(network.config, key) != getattr(config.model, key)
    ]
    if network.dtype == torch.float64 and config.training.precision != "fp64":
        problems.append(f"its weights are fp64, training.precision is {config.training.precision}")
    if isinstance(network, ForceField):
        missing = sorted(set(info.structures.elements) - set(network.elements))
        return problems + [f"it does not know the element {ELEMENTS[number]} of the data" for number in missing]
    if network.schema != info.feature_schema:
        problems.append("the data have another feature schema: preprocess them with the same options")
    if network.targets != task.targets:
        theirs, ours = (", ".join(f"{t.name} ({t.unit})" for t in some) for some in (network.targets, task.targets))
        problems.append(f"its targets are {theirs}, those of the run {ours}")
    return problems
