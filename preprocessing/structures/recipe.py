"""Structures from files to graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hydrasurr.graphs.schema import FeatureSchema
from hydrasurr.graphs.structures import structure_schema
from hydrasurr.stores.info import DatasetInfo
from preprocessing.crew import Crew
from preprocessing.structures.card import StructureCard
from preprocessing.structures.chunks import ConvertChunk, FrameChunk, RejectedFrame, StructureSummary, read_chunks
from preprocessing.structures.header import make_info
from preprocessing.structures.scan import StructureScan, scan_structures


@dataclass(frozen=True)
class StructureRecipe:
    """The `Recipe` of a card of structures."""

    card: StructureCard
    limit: int | None

    unit = "frames"
    reject = RejectedFrame

    @property
    def schema(self) -> FeatureSchema:
        return structure_schema()

    def scan(self, advance: Callable[[int], None]) -> StructureScan:
        return scan_structures(self.card, self.limit, advance)

    def work(self, scan: StructureScan, crew: Crew, show: bool) -> ConvertChunk:
        return ConvertChunk(scan.card, scan.plan)

    def chunks(self, scan: StructureScan) -> Iterator[FrameChunk]:
        return read_chunks(scan.card, scan.chunk_size, self.limit)

    def info(self, scan: StructureScan, summaries: list[StructureSummary]) -> DatasetInfo:
        return make_info(scan, self.limit, summaries)
