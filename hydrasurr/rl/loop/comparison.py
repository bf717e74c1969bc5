"""A surrogate held against the oracle, on molecules that were chosen before anyone asked the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic import model_validator
from scipy.stats import rankdata

from hydrasurr.strict import Strict


class Wanted(Strict):
    """The range that the target of the found molecules shall have, by the oracle."""

    low: float
    high: float
    """Both in the unit of the target, themselves wanted."""

    @model_validator(mode="after")
    def _in_order(self) -> Wanted:
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}")
        return self

    def holds(self, values: np.ndarray) -> np.ndarray:
        """bool; False where a value is NaN."""
        return (values >= self.low) & (values <= self.high)


class Molecule(NamedTuple):
    """A molecule and what is known of its target.

    Attributes
    ----------
    why : it was chosen
    worth : by the objective
    predicted, std : by the surrogate
    true : by the oracle; None if there is no label
    error : why there is none
    """

    smiles: str
    why: str
    worth: float
    predicted: float
    std: float
    true: float | None = None
    error: str = ""


class Comparison(NamedTuple):
    """Of `count` molecules; None where it cannot be told, as of no labels.

    Attributes
    ----------
    labelled : of these
    mae, bias : mean absolute and mean error of the surrogate, in the unit of the target; the bias is positive where
        the surrogate says too much
    rank : Spearman's correlation of prediction and truth
    covered : part of the truths within two standard deviations of the prediction
    predicted_hits : part that the surrogate says is in the wanted range
    hits : part that is there by the oracle; a molecule without a label is no hit
    """

    count: int
    labelled: int
    mae: float | None
    bias: float | None
    rank: float | None
    covered: float | None
    predicted_hits: float | None
    hits: float | None


def compare(molecules: Sequence[Molecule], wanted: Wanted) -> Comparison:
    """The surrogate's predictions beside the oracle's labels."""
    if not molecules:
        return Comparison(0, 0, None, None, None, None, None, None)
    predicted, std, true = (
        np.array([getattr(m, name) for m in molecules], np.float64) for name in ("predicted", "std", "true")
    )
    there = np.isfinite(true) & np.isfinite(predicted)
    error = (predicted - true)[there]
    some = bool(there.any())
    return Comparison(
        count=len(molecules),
        labelled=int(there.sum()),
        mae=float(np.abs(error).mean()) if some else None,
        bias=float(error.mean()) if some else None,
        rank=_rank_correlation(predicted[there], true[there]),
        covered=float((np.abs(error) <= 2 * std[there]).mean()) if some else None,
        predicted_hits=float(wanted.holds(predicted).mean()),
        hits=float(wanted.holds(true).mean()),
    )


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Spearman's; None if one of them has no two different values."""
    a, b = rankdata(a), rankdata(b)
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def molecules_from(rows: Sequence[dict[str, Any]]) -> list[Molecule]:
    """Those whose `_asdict` is given."""
    return [Molecule(**row) for row in rows]
