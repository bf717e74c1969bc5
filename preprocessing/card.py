"""The dataset card: a JSON file that says what a table of molecules holds and how to divide it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from hydrasurr.errors import ConfigError
from hydrasurr.graphs.schema import FeatureSchema, Target, molecule_schema
from hydrasurr.strict import Strict, parse, read_json
from hydrasurr.text_table import Format

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


class SplitRule(Strict):
    """How molecules are divided into train, val and test."""

    rule: Literal["random", "scaffold", "column"] = "random"
    """`random`: by a hash of the SMILES text, so equal SMILES stay together whatever the order of the rows.
    `scaffold`: molecules with the same Bemis-Murcko scaffold stay together, rare ones go to val and test.
    `column`: as a column of the table says."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    fractions: tuple[float, float, float] = (0.94, 0.02, 0.04)
    """Of train, val and test; 0, 0, 1 makes a data set to evaluate on."""
    column: str = ""
    """For the rule `column`: its header. The values are train, val (or valid, validation) and test."""

    @field_validator("fractions")
    @classmethod
    def _fractions_sum_to_one(cls, fractions: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(fractions) < 0 or not math.isclose(sum(fractions), 1, abs_tol=1e-6):
            raise ValueError("the fractions of train, val and test must sum to 1, and none may be negative")
        return fractions

    @model_validator(mode="after")
    def _column_if_and_only_if_asked_for(self) -> SplitRule:
        if (self.rule == "column") != bool(self.column):
            raise ValueError("the rule 'column' needs the key 'column', the other rules have none")
        return self


class Card(Strict):
    """A data set: its files, columns, split and origin."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Also the default name of the output."""
    description: str = ""
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
    licence: str = ""
    source: str = ""
    """Origin and citation."""
    obtain: str = ""
    """How to get the files, where they are not shipped."""
    sha256: dict[str, str] = Field(default={})
    """File name -> SHA-256 that the file must have."""

    @field_validator("targets")
    @classmethod
    def _names_differ(cls, targets: tuple[TargetColumn, ...]) -> tuple[TargetColumn, ...]:
        names = [target.name for target in targets]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"there are several targets called '{name}'")
        return targets

    @property
    def schema_of_graphs(self) -> FeatureSchema:
        return molecule_schema(self.explicit_hydrogens)

    @property
    def schema_of_targets(self) -> tuple[Target, ...]:
        return tuple(Target(target.name, target.unit, target.level) for target in self.targets)


def read_card(path: str | Path) -> Card:
    """Read a card, its files resolved against its folder. Raises ConfigError naming file and key."""
    path = Path(path)
    card = parse(Card, read_json(path), path)
    return card.model_copy(update={"files": tuple(str(path.parent / file) for file in card.files)})


def existing_files(card: Card) -> list[Path]:
    """The files of a card. Raises ConfigError, saying how to obtain them, if one is missing."""
    files = [Path(file) for file in card.files]
    for file in files:
        if not file.is_file():
            how = f"\nHow to obtain it: {card.obtain}" if card.obtain else ""
            raise ConfigError(f"no file '{file}'; put it there or name it with --file PATH.{how}")
    return files
