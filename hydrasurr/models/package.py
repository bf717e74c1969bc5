"""Trained models as one file that can be mailed: safetensors with a JSON header; loading runs no code.

The header holds what the networks are built from (for networks of molecules: configuration, feature schema, targets,
degree histogram; for force fields: configuration, elements) and free notes on where they come from; the tensors are
those of each member of the ensemble.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from hydrasurr.errors import HydrasurrError
from hydrasurr.files import replacing
from hydrasurr.graphs.schema import FeatureSchema, Target
from hydrasurr.models.config import ModelConfig
from hydrasurr.models.force_field.config import ForceFieldConfig
from hydrasurr.models.force_field.network import ForceField
from hydrasurr.models.network import GraphNetwork
from hydrasurr.strict import Strict, parse

PACKAGE_VERSION = 2
"""The newest that this reads. Files of molecules are still version 1, which older releases read too."""


class Header(Strict):
    """What the networks of a file are built from."""

    version: Literal[1] = 1
    members: int = Field(gt=0)
    model: ModelConfig
    feature_schema: str
    targets: tuple[Target, ...]
    degree_histogram: tuple[int, ...]
    notes: dict[str, Any]

    @classmethod
    def of(cls, networks: Sequence[GraphNetwork], notes: dict[str, Any]) -> Header:
        first = networks[0]
        return cls(
            members=len(networks),
            model=first.config,
            feature_schema=first.schema.to_json(),
            targets=first.targets,
            degree_histogram=tuple(first.degree_histogram.tolist()),
            notes=notes,
        )

    def rebuild(self, weights: Mapping[str, Tensor]) -> GraphNetwork:
        """A network for these weights. Raises KeyError or RuntimeError if they are not what the header describes."""
        # Before anything of the size that the header claims is allocated.
        if weights["node_encoder.weight"].shape[1] != self.model.hidden or self.model.layers > len(weights):
            raise RuntimeError("they have another width, or not as many layers")
        schema = FeatureSchema.from_json(self.feature_schema)
        network = GraphNetwork(
            self.model, schema, self.targets, weights["mean"], weights["std"], self.degree_histogram
        )
        return network.double() if weights["node_encoder.weight"].dtype == torch.float64 else network


class ForceFieldHeader(Strict):
    """What the force fields of a file are built from."""

    version: Literal[2] = 2
    kind: Literal["force_field"] = "force_field"
    members: int = Field(gt=0)
    model: ForceFieldConfig
    elements: tuple[int, ...]
    notes: dict[str, Any]

    @classmethod
    def of(cls, networks: Sequence[ForceField], notes: dict[str, Any]) -> ForceFieldHeader:
        first = networks[0]
        return cls(members=len(networks), model=first.config, elements=first.elements, notes=notes)

    def rebuild(self, weights: Mapping[str, Tensor]) -> ForceField:
        """A force field for these weights. Raises RuntimeError or ValueError if they are not what the header says."""
        if self.model.layers > len(weights):
            raise RuntimeError("they have not as many layers")
        with torch.device("meta"):  # the shapes alone, before anything of the size that the header claims is allocated
            expected = {name: t.shape for name, t in ForceField(self.model, self.elements).state_dict().items()}
        if expected != {name: t.shape for name, t in weights.items()}:
            raise RuntimeError("they have other names or shapes")
        network = ForceField(self.model, self.elements)
        return network.set_dtype(weights["embedding.weight"].dtype)


class Package(NamedTuple):
    """What a package file holds: GraphNetworks or ForceFields, all of one kind."""

    networks: list[nn.Module]
    notes: dict[str, Any]


def save_package(path: str | Path, networks: Sequence[GraphNetwork | ForceField], notes: dict[str, Any]) -> None:
    """Write networks of one architecture for the same data; `notes` is any JSON.

    `path` is at any moment either the old or the new file. Raises HydrasurrError if it cannot be written.
    """
    path = Path(path)
    header = (ForceFieldHeader if isinstance(networks[0], ForceField) else Header).of(networks, notes)
    tensors = {
        f"{member}.{name}": tensor.detach().cpu().contiguous()
        for member, network in enumerate(networks)
        for name, tensor in network.state_dict().items()
    }
    try:
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata={"hydrasurr": header.model_dump_json()})
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
    kind = ForceFieldHeader if isinstance(raw, dict) and raw.get("kind") == "force_field" else Header
    header = parse(kind, raw, path)
    networks = []
    for member in range(header.members):
        prefix = f"{member}."
        weights = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
        networks.append(_rebuild(header, weights, path))
    return Package(networks, header.notes)


def _rebuild(header: Header | ForceFieldHeader, weights: dict[str, Tensor], path: Path) -> nn.Module:
    """A network with these weights. Raises HydrasurrError unless they are just what the header describes."""
    try:
        network = header.rebuild(weights)
        network.load_state_dict(weights)
    except (KeyError, RuntimeError, ValueError) as error:
        raise HydrasurrError(f"'{path}': the weights do not fit the model it describes: {error}") from error
    return network.eval()
