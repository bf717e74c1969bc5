"""What a data set says about itself; the same header in every store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from hydrasurr.errors import StoreError
from hydrasurr.graphs.schema import FeatureSchema, Target

FORMAT_VERSION = 3
SPLITS = ("train", "val", "test")


class TargetStatistics(BaseModel):
    """Of one target over the training split, missing values left out; in the target's unit. All 0 without any."""

    model_config = ConfigDict(frozen=True)

    count: int
    mean: float
    std: float
    min: float
    max: float


NEAREST_SEARCH = 3.0
"""Angstrom: how far smallest distances are searched for."""


class StructureFacts(BaseModel):
    """What a data set of structures (atoms in space) says in addition; numbers over the training split.

    Attributes
    ----------
    elements : atomic numbers in any split, ascending
    cutoff : of the stored radius graphs, Angstrom; None if there are none
    atomic_energies : eV, by atomic number; empty if there are no energies
    atomic_energies_from : "card", "isolated atoms" or "fitted" (least squares over the energies per atom)
    labelled : structures that have "energy", "forces" and "stress"
    energy_mean, energy_std : of (energy - its atoms' energies) / number of atoms, eV
    force_rms : of the components, eV/A
    stress_rms : of the components, eV/A^3
    r_min : the smallest distance of each pair of elements ("C-H"), Angstrom, or NEAREST_SEARCH where that is smaller
    """

    model_config = ConfigDict(frozen=True)

    elements: tuple[int, ...]
    cutoff: float | None = None
    atomic_energies: dict[int, float] = {}
    atomic_energies_from: str = ""
    labelled: dict[str, int]
    energy_mean: float = 0.0
    energy_std: float = 0.0
    force_rms: float = 0.0
    stress_rms: float = 0.0
    r_min: dict[str, float] = {}


class DatasetInfo(BaseModel):
    """Header of a data set.

    Attributes
    ----------
    max_nodes : the size limit of a graph, which fixes the dtype of `edge_index`
    graphs, nodes, edges : number in each split (an undirected edge counts once)
    statistics : of each target, in the order of `targets`
    degree_histogram : `degree_histogram[d]` nodes of the training split have in-degree `d`
    split : the rule and its parameters, as the card gave them
    source : files with their SHA-256, licence, citation, as the card gave them
    structures : for data sets of atoms in space; their only target is the energy, forces and stress are columns
        of their own
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    format_version: int = FORMAT_VERSION
    name: str
    description: str = ""
    feature_schema: FeatureSchema
    targets: tuple[Target, ...]
    directed: bool = False
    max_nodes: int = 256
    graphs: dict[str, int]
    nodes: dict[str, int]
    edges: dict[str, int]
    rejected: int = 0
    statistics: tuple[TargetStatistics, ...]
    degree_histogram: tuple[int, ...]
    split: dict[str, Any] = {}
    source: dict[str, Any] = {}
    structures: StructureFacts | None = None

    @property
    def graph_targets(self) -> list[Target]:
        return [target for target in self.targets if target.level == "graph"]

    @property
    def node_targets(self) -> list[Target]:
        return [target for target in self.targets if target.level == "node"]


def read_header(file: Path) -> DatasetInfo:
    """The header in a JSON file. Raises StoreError as `parse_header`, and if the file cannot be read."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"cannot read the header '{file}': {error}") from error
    return parse_header(text, file)


def parse_header(text: str, where: Path) -> DatasetInfo:
    """Rebuild a header. Raises StoreError naming `where` if the text is not one, or of a newer format."""
    try:
        info = DatasetInfo.model_validate_json(text)
    except ValueError as error:
        raise StoreError(f"'{where}' has a damaged header: {error}") from error
    if info.format_version > FORMAT_VERSION:
        raise StoreError(
            f"'{where}' has format version {info.format_version}, this hydrasurr reads up to {FORMAT_VERSION}: "
            "upgrade hydrasurr"
        )
    return info
