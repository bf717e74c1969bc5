"""How stored structures become batches for a model with a cutoff."""

from __future__ import annotations

from dataclasses import dataclass

from hydrasurr.errors import ConfigError
from hydrasurr.graphs.structures import STRUCTURE_COLUMNS, with_radius_graph, within
from hydrasurr.graphs.table import GraphTable
from hydrasurr.loading.atoms_batch import AtomsBatch
from hydrasurr.stores.info import DatasetInfo


@dataclass(frozen=True)
class RadiusGraphs:
    """`prepare` and `collate` of the loaders, for structures.

    Attributes
    ----------
    cutoff : of the model, Angstrom
    stored : cutoff of the edges that the data set has, Angstrom; None if it has none
    """

    cutoff: float
    stored: float | None = None

    @classmethod
    def of(cls, info: DatasetInfo, cutoff: float) -> RadiusGraphs:
        """Raises ConfigError if the data set is not one of structures, or its edges are too short for the cutoff."""
        if info.structures is None:
            raise ConfigError(f"the data set '{info.name}' has molecules without positions, not structures")
        stored = info.structures.cutoff
        if stored is not None and stored < cutoff:
            raise ConfigError(
                f"the data set '{info.name}' stores radius graphs with a cutoff of {stored} A, too short for the "
                f"model's {cutoff} A: preprocess with a larger cutoff in the card, or with none to find edges on load"
            )
        return cls(cutoff, stored)

    @property
    def columns(self) -> list[str]:
        """The columns to load, labels not counted."""
        return [*STRUCTURE_COLUMNS, *(["shift"] if self.stored is not None else [])]

    def prepare(self, table: GraphTable) -> GraphTable:
        """Structures as they are stored, with the edges that the model sees."""
        if self.stored is None:
            return with_radius_graph(table, self.cutoff)
        return table if self.stored == self.cutoff else within(table, self.cutoff)

    @staticmethod
    def collate(table: GraphTable) -> AtomsBatch:
        """The batch of structures that have their edges."""
        return AtomsBatch.from_table(table)
