"""Elements by symbol, and parameters that belong to pairs of elements."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from hydrasurr.errors import ConfigError, HydrasurrError, did_you_mean
from hydrasurr.graphs.schema import ELEMENTS


def atomic_number(symbol: str) -> int:
    """Of a chemical symbol such as `Na`. Raises ConfigError."""
    if symbol not in ELEMENTS[1:]:
        raise ConfigError(f"no element '{symbol}'{did_you_mean(symbol, ELEMENTS[1:])}")
    return ELEMENTS.index(symbol)


def pair_name(first: int, second: int) -> str:
    """The name of a pair of elements, such as `Na-Cl`, in the order of atomic numbers."""
    return "-".join(ELEMENTS[number] for number in sorted((first, second)))


class PairKinds:
    """Numbers the pairs of elements that parameters are given for: `Na-Cl` and `Cl-Na` are the same.

    Attributes
    ----------
    names : the pairs, in order
    table : int64 `[119, 119]`, by two atomic numbers: the position in `names`, -1 for pairs without parameters

    Raises ConfigError for what is no pair of elements, a pair named twice, or no pairs at all.
    """

    def __init__(self, names: Iterable[str]):
        self.names = tuple(names)
        if not self.names:
            raise ConfigError("no pair of elements is given; expected one or more such as 'Na-Cl'")
        self.table = torch.full((len(ELEMENTS), len(ELEMENTS)), -1)
        for kind, name in enumerate(self.names):
            symbols = name.split("-")
            if len(symbols) != 2:
                raise ConfigError(f"'{name}' is no pair of elements; expected two symbols such as 'Na-Cl'")
            first, second = map(atomic_number, symbols)
            if self.table[first, second] >= 0:
                raise ConfigError(f"the pair of elements '{name}' is given twice")
            self.table[first, second] = self.table[second, first] = kind

    def of(self, first: Tensor, second: Tensor) -> Tensor:
        """int64 `[P]`: the position in `names` of each pair of atomic numbers. Raises HydrasurrError if it has none."""
        kinds = self.table.to(first.device)[first, second]
        if (kinds < 0).any():
            missing = int((kinds < 0).nonzero()[0])
            name = pair_name(int(first[missing]), int(second[missing]))
            raise HydrasurrError(f"no parameters for the elements {name}; there are some for {', '.join(self.names)}")
        return kinds
