"""What a data set says about itself; the same header in every store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from hydrasurr.errors import StoreError
from hydrasurr.graphs.schema import FeatureSchema, Target

FORMAT_VERSION = 2
SPLITS = ("train", "val", "test")


class TargetStatistics(BaseModel):
    """Of one target over the training split, missing values left out; in the target's unit. All 0 without any."""

    model_config = ConfigDict(frozen=True)

    count: int
    mean: float
    std: float
    min: float
    max: float


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
