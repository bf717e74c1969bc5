"""A trained model as one file that can be mailed: safetensors with a JSON header; loading runs no code.

The header holds what the networks are built from (configuration, feature schema, targets, degree histogram)
and free notes on where they come from; the tensors are those of each member of the ensemble.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hydrasurr.errors import HydrasurrError
from hydrasurr.graphs.schema import FeatureSchema, Target
from hydrasurr.models.config import ModelConfig
from hydrasurr.models.network import GraphNetwork
from hydrasurr.strict import Strict, parse

PACKAGE_VERSION = 1


class Header(Strict):
    """What the networks of a file are built from."""

    version: int
    members: int = Field(gt=0)
    model: ModelConfig
    feature_schema: str
    targets: tuple[Target, ...]
    degree_histogram: tuple[int, ...]
    notes: dict[str, Any]


class Package(NamedTuple):
    """What a package file holds."""

    networks: list[GraphNetwork]
    notes: dict[str, Any]


def save_package(path: str | Path, networks: Sequence[GraphNetwork], notes: dict[str, Any]) -> None:
    """Write networks of one architecture, schema and list of targets; `notes` is any JSON.

    `path` is at any moment either the old or the new file. Raises HydrasurrError if it cannot be written.
    """
    path, first = Path(path), networks[0]
    header = Header(
        version=PACKAGE_VERSION,
        members=len(networks),
        model=first.config,
        feature_schema=first.schema.to_json(),
        targets=first.targets,
        degree_histogram=tuple(first.degree_histogram.tolist()),
        notes=notes,
    )
    tensors = {
        f"{member}.{name}": tensor.detach().cpu().contiguous()
        for member, network in enumerate(networks)
        for name, tensor in network.state_dict().items()
    }
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, temporary, metadata={"hydrasurr": header.model_dump_json()})
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        raise HydrasurrError(f"cannot write '{path}': {error}") from error


def load_package(path: str | Path) -> Package:
    """Read a package. Raises HydrasurrError if the file is missing, damaged or no package."""
    path = Path(path)
    if not path.is_file():
        raise HydrasurrError(f"no model file '{path}'")
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get("hydrasurr")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise HydrasurrError(f"'{path}' is not a model file of hydrasurr, or damaged: {error}") from error
    if text is None:
        raise HydrasurrError(f"'{path}' is a safetensors file, but not one written by hydrasurr")
    raw = json.loads(text)
    if isinstance(raw, dict) and raw.get("version", 0) > PACKAGE_VERSION:
        raise HydrasurrError(f"'{path}' was written by a newer hydrasurr (package version {raw['version']}); upgrade")
    header = parse(Header, raw, path)
    networks = []
    for member in range(header.members):
        prefix = f"{member}."
        weights = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
        networks.append(_rebuild(header, weights, path))
    return Package(networks, header.notes)


def _rebuild(header: Header, weights: dict[str, Tensor], path: Path) -> GraphNetwork:
    """A network with these weights. Raises HydrasurrError unless they are just what the header describes."""
    try:
        # Before anything of the size that the header claims is allocated.
        if weights["node_encoder.weight"].shape[1] != header.model.hidden or header.model.layers > len(weights):
            raise RuntimeError("they have another width, or not as many layers")
        network = GraphNetwork(
            header.model,
            FeatureSchema.from_json(header.feature_schema),
            header.targets,
            weights["mean"],
            weights["std"],
            header.degree_histogram,
        )
        if weights["node_encoder.weight"].dtype == torch.float64:
            network.double()
        network.load_state_dict(weights)
    except (KeyError, RuntimeError) as error:
        raise HydrasurrError(f"'{path}': the weights do not fit the model it describes: {error}") from error
    return network.eval()
