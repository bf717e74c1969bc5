"""What the pipeline asks of a kind of card: how its files become graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from hydrasurr.graphs.schema import FeatureSchema
from hydrasurr.stores.info import DatasetInfo
from preprocessing.card import AnyCard, Card
from preprocessing.crew import Crew, Work


class Scan(Protocol):
    """What a first look at the files tells; recipes add what they need themselves.

    Attributes
    ----------
    unit : what the files consist of, "rows" or "frames"
    rows : their number
    sha256 : of each file, by its name
    chunks : in how many pieces they are worked on
    """

    unit: str
    rows: int
    sha256: dict[str, str]

    @property
    def chunks(self) -> int: ...


class Recipe(Protocol):
    """The steps from files to graphs, for one card.

    Attributes
    ----------
    unit : what the files consist of, "rows" or "frames"
    reject : the named tuple of a row that became no graph, with a field `reason`
    schema : of the graphs
    """

    unit: str
    reject: type[tuple]

    @property
    def schema(self) -> FeatureSchema: ...

    def scan(self, advance: Callable[[int], None]) -> Scan:
        """Read everything once, calling `advance(rows)`; done on one rank, the result is sent to all."""
        ...

    def work(self, scan: Scan, crew: Crew, show: bool) -> Work:
        """What is to be done with each chunk, a function that can be sent to other processes and gives ChunkResults.

        All ranks call this, which may itself share work among the crew.
        """
        ...

    def chunks(self, scan: Scan) -> Iterator[Any]:
        """The `scan.chunks` pieces of the files, in order."""
        ...

    def info(self, scan: Scan, summaries: list[Any]) -> DatasetInfo:
        """The header, from the summaries of all chunks in order. Raises HydrasurrError if there is nothing of use."""
        ...


def recipe_for(card: AnyCard, limit: int | None) -> Recipe:
    """The recipe of a card, for the first `limit` rows (None: all)."""
    if isinstance(card, Card):
        from preprocessing.molecules import MoleculeRecipe

        return MoleculeRecipe(card, limit)
    from preprocessing.structures.recipe import StructureRecipe

    return StructureRecipe(card, limit)
