"""Molecules from tables to graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hydrasurr.graphs.schema import FeatureSchema
from hydrasurr.stores.info import DatasetInfo
from preprocessing.card import Card
from preprocessing.chunks import FeaturizeChunk, RejectedRow
from preprocessing.crew import Crew
from preprocessing.header import make_info
from preprocessing.progress import show_progress
from preprocessing.results import ChunkSummary
from preprocessing.rows import Chunk, read_chunks
from preprocessing.scan import TableScan, make_plan, scan_table


@dataclass(frozen=True)
class MoleculeRecipe:
    """The `Recipe` of a card of molecules."""

    card: Card
    limit: int | None

    unit = "rows"
    reject = RejectedRow

    @property
    def schema(self) -> FeatureSchema:
        return self.card.schema_of_graphs

    def scan(self, advance: Callable[[int], None]) -> TableScan:
        return scan_table(self.card, self.limit, advance)

    def work(self, scan: TableScan, crew: Crew, show: bool) -> FeaturizeChunk:
        with show_progress("scaffolds", scan.rows, show and self.card.split.rule == "scaffold") as progress:
            return FeaturizeChunk(self.card, make_plan(self.card, scan, crew, self.limit, progress.advance))

    def chunks(self, scan: TableScan) -> Iterator[Chunk]:
        return read_chunks(self.card, scan.chunk_size, self.limit)

    def info(self, scan: TableScan, summaries: list[ChunkSummary]) -> DatasetInfo:
        return make_info(self.card, scan, self.limit, summaries)
