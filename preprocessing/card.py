"""The dataset card: a JSON file that says what files hold and how to divide it; this one is for molecules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from hydrasurr.errors import ConfigError, did_you_mean
from hydrasurr.graphs.schema import FeatureSchema, Target, molecule_schema
from hydrasurr.strict import Strict, parse, read_json
from hydrasurr.text_table import Format
from preprocessing.card_base import CardBase, SplitBase, existing_files
from preprocessing.structures.card import StructureCard

__all__ = ["AnyCard", "Card", "SplitRule", "StructureCard", "TargetColumn", "existing_files", "read_card"]

_LARGEST_GRAPH = 10_000


class TargetColumn(Strict):
    """One property of the table."""

    name: str = Field(min_length=1)
    """How the property is called from here on."""
    column: str = ""
    """Header of its column; the name, if not given."""
    unit: str = ""
    """Unit after `scale`; empty if it has none."""
    level: Literal["graph", "node"] = "graph"
    """`graph`: one number a molecule. `node`: a list of numbers, separated by blanks or semicolons, one for
    each atom in the order of the SMILES, or one for each node if hydrogens are to have values too."""
    scale: float = 1.0
    """Factor from the table's unit to `unit`, say 27.211386245988 from Hartree to eV."""
    description: str = ""

    @model_validator(mode="before")
    @classmethod
    def _column_defaults_to_name(cls, raw: object) -> object:
        if isinstance(raw, dict) and "column" not in raw and "name" in raw:
            return {**raw, "column": raw["name"]}
        return raw

    @field_validator("scale")
    @classmethod
    def _scale_is_not_zero(cls, scale: float) -> float:
        if scale == 0:
            raise ValueError("a scale of 0 would erase the property")
        return scale


class SplitRule(SplitBase):
    """How molecules are divided into train, val and test."""

    rule: Literal["random", "scaffold", "column"] = "random"
    """`random`: by a hash of the SMILES text, so equal SMILES stay together whatever the order of the rows.
    `scaffold`: molecules with the same Bemis-Murcko scaffold stay together, rare ones go to val and test.
    `column`: as a column of the table says."""


class Card(CardBase):
    """A data set of molecules: its files, columns, split and origin."""

    kind: Literal["molecules"] = "molecules"
    files: tuple[str, ...] = Field(min_length=1)
    """Tables to read one after the other, packed with gzip (.gz) or not. Paths start at the card's folder."""
    format: Format | None = None
    """Told from the suffix (.csv, .tsv, .smi) if not given. A .smi file has no header: its columns are called
    `smiles` and `name`."""
    smiles: str = "smiles"
    """Header of the column with the molecules."""
    targets: tuple[TargetColumn, ...] = ()
    """None for a library without labels."""
    split: SplitRule = SplitRule()
    explicit_hydrogens: bool = True
    """Whether hydrogens are nodes of the graph."""
    max_atoms: int = Field(default=256, ge=1, le=_LARGEST_GRAPH)
    """Molecules with more nodes than this are rejected."""

    @field_validator("targets")
    @classmethod
    def _names_differ(cls, targets: tuple[TargetColumn, ...]) -> tuple[TargetColumn, ...]:
        names = [target.name for target in targets]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"there are several targets called '{name}'")
        return targets

    @property
    def paths(self) -> list[Path]:
        return [Path(file) for file in self.files]

    def beside(self, folder: Path) -> Card:
        """The card with paths that start where those of `folder` do."""
        return self.with_files([folder / file for file in self.files])

    def with_files(self, files: Sequence[Path]) -> Card:
        """The card with other tables."""
        return self.model_copy(update={"files": tuple(map(str, files))})

    @property
    def schema_of_graphs(self) -> FeatureSchema:
        return molecule_schema(self.explicit_hydrogens)

    @property
    def schema_of_targets(self) -> tuple[Target, ...]:
        return tuple(Target(target.name, target.unit, target.level) for target in self.targets)


AnyCard = Card | StructureCard
_KINDS: dict[str, type[AnyCard]] = {"molecules": Card, "structures": StructureCard}


def read_card(path: str | Path) -> AnyCard:
    """Read a card, its files resolved against its folder. Raises ConfigError naming file and key."""
    path, raw = Path(path), read_json(path)
    kind = raw.get("kind", "molecules") if isinstance(raw, dict) else "molecules"
    if kind not in _KINDS:
        hint = did_you_mean(str(kind), _KINDS)
        raise ConfigError(f"'{path}' is not valid:\n  kind: no kind of data set '{kind}'{hint}")
    return parse(_KINDS[kind], raw, path).beside(path.parent)
