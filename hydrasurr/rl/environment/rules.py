"""What may be built: elements, sizes and rings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator
from rdkit import Chem

from hydrasurr.errors import did_you_mean
from hydrasurr.graphs.schema import ELEMENTS
from hydrasurr.strict import Strict

RingSize = Annotated[int, Field(ge=3, le=30)]


EXCLUDED = {
    "H": "is added wherever a valence is free, and is no atom of its own here",
    "Al": "makes rings that RDKit writes as aromatic and cannot read again",
    "Sn": "has two bonds by RDKit, and is a radical with them",
    "Pb": "has two bonds by RDKit, and is a radical with them",
}
"""Elements that cannot be built with, and why."""


class Rules(Strict):
    """What an agent may do to a molecule."""

    elements: tuple[str, ...] = Field(("C", "N", "O", "F"), min_length=1)
    """Of new atoms. A starting molecule may have others."""
    max_atoms: int = Field(38, ge=2, le=250)
    """Heavy atoms."""
    ring_sizes: tuple[RingSize, ...] = (5, 6)
    """Of the smallest ring that a new bond closes; empty: rings are never closed."""
    removal: bool = True
    """Let bonds be lowered and removed, and with the last bond of an atom the atom."""

    @field_validator("elements")
    @classmethod
    def _known(cls, elements: tuple[str, ...]) -> tuple[str, ...]:
        for symbol in elements:
            if symbol not in ELEMENTS[1:]:
                raise ValueError(f"no element '{symbol}'{did_you_mean(symbol, ELEMENTS[1:])}")
            if usual_valence(symbol) < 1:
                raise ValueError(f"'{symbol}' forms no bonds that RDKit knows of")
            if symbol in EXCLUDED:
                raise ValueError(f"'{symbol}' {EXCLUDED[symbol]}")
        if len(set(elements)) < len(elements):
            raise ValueError("an element is given twice")
        return elements

    @property
    def numbers(self) -> list[int]:
        """Atomic numbers of `elements`."""
        return [ELEMENTS.index(symbol) for symbol in self.elements]

    @property
    def valences(self) -> list[int]:
        """Bonds of a new atom of each of `elements`, hydrogens included."""
        return [usual_valence(symbol) for symbol in self.elements]


def usual_valence(symbol: str) -> int:
    """The smallest valence of a neutral atom that RDKit knows; below 1 if it forms no bonds."""
    return Chem.GetPeriodicTable().GetDefaultValence(symbol)
