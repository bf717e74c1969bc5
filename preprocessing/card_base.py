"""What the cards of all kinds of data sets have in common."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from hydrasurr.errors import ConfigError
from hydrasurr.strict import Strict


class SplitBase(Strict):
    """How graphs are divided into train, val and test."""

    rule: str
    seed: int = Field(default=0, ge=0, lt=2**63)
    fractions: tuple[float, float, float] = (0.94, 0.02, 0.04)
    """Of train, val and test; 0, 0, 1 makes a data set to evaluate on."""
    column: str = ""
    """For the rule `column`: where the split is told. The values are train, val (or valid, validation) and test."""

    @field_validator("fractions")
    @classmethod
    def _fractions_sum_to_one(cls, fractions: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(fractions) < 0 or not math.isclose(sum(fractions), 1, abs_tol=1e-6):
            raise ValueError("the fractions of train, val and test must sum to 1, and none may be negative")
        return fractions

    @model_validator(mode="after")
    def _column_if_and_only_if_asked_for(self) -> SplitBase:
        if (self.rule == "column") != bool(self.column):
            raise ValueError("the rule 'column' needs the key 'column', the other rules have none")
        return self


class CardBase(Strict):
    """Name and origin of a data set."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Also the default name of the output."""
    description: str = ""
    licence: str = ""
    source: str = ""
    """Origin and citation."""
    obtain: str = ""
    """How to get the files, where they are not shipped."""
    sha256: dict[str, str] = Field(default={})
    """File name -> SHA-256 that the file must have."""

    @property
    def paths(self) -> list[Path]:
        """The files to read, in order."""
        raise NotImplementedError


def existing_files(card: CardBase) -> list[Path]:
    """The files of a card. Raises ConfigError, saying how to obtain them, if one is missing."""
    for file in card.paths:
        if not file.is_file():
            how = f"\nHow to obtain it: {card.obtain}" if card.obtain else ""
            raise ConfigError(f"no file '{file}'; put it there or name it with --file PATH.{how}")
    return card.paths


def file_hashes(card: CardBase) -> dict[str, str]:
    """SHA-256 of each file of a card, by its name. Raises ConfigError if one is missing or not the one it means."""
    sha256 = {}
    for file in existing_files(card):
        with file.open("rb") as raw:
            found = sha256[file.name] = hashlib.file_digest(raw, "sha256").hexdigest()
        expected = card.sha256.get(file.name, found).lower()
        if found != expected:
            raise ConfigError(f"'{file}' is not the file the card means: SHA-256 {found}, not {expected}")
    return sha256
