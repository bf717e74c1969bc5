"""A trained model as one file that can be mailed: safetensors with a JSON header; loading runs no code.

The header holds what the networks are built from (configuration, feature schema, targets, degree histogram)
and free notes on where they come from; the tensors are those of each member of the ensemble.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from hydrasurr.errors import HydrasurrError
from hydrasurr.graphs.schema import FeatureSchema, Target
from hydrasurr.models.config import ModelConfig
from hydrasurr.models.network import GraphNetwork
from hydrasurr.strict import parse

PACKAGE_VERSION = 1


class Package(NamedTuple):
    """What a package file holds."""

    networks: list[GraphNetwork]
    notes: dict[str, Any]


def save_package(path: str | Path, networks: Sequence[GraphNetwork], notes: dict[str, Any]) -> None:
    """Write networks of one architecture, schema and list of targets; `notes` is any JSON.

    `path` is at any moment either the old or the new file.
    """
    path, first = Path(path), networks[0]
    header = {
        "version": PACKAGE_VERSION,
        "members": len(networks),
        "model": first.config.model_dump(mode="json"),
        "feature_schema": first.schema.to_json(),
        "targets": [asdict(target) for target in first.targets],
        "degree_histogram": first.degree_histogram.tolist(),
        "notes": notes,
    }
    tensors = {
        f"{member}.{name}": tensor.detach().cpu().contiguous()
        for member, network in enumerate(networks)
        for name, tensor in network.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    save_file(tensors, temporary, metadata={"hydrasurr": json.dumps(header)})
    os.replace(temporary, path)


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
    header = json.loads(text)
    if header["version"] > PACKAGE_VERSION:
        version = header["version"]
        raise HydrasurrError(f"'{path}' was written by a newer hydrasurr (package version {version}); upgrade")
    networks = []
    for member in range(header["members"]):
        prefix = f"{member}."
        weights = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
        network = GraphNetwork(
            parse(ModelConfig, header["model"], path),
            FeatureSchema.from_json(header["feature_schema"]),
            [Target(**target) for target in header["targets"]],
            weights["mean"],
            weights["std"],
            header["degree_histogram"],
        )
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise HydrasurrError(f"'{path}': the weights do not fit the model it describes: {error}") from error
        networks.append(network.eval())
    return Package(networks, header["notes"])
