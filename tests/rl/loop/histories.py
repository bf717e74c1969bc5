"""Histories made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hydrasurr.rl.rewards.goals import Range
from hydrasurr.rl.rewards.history import History, Worth
from hydrasurr.rl.rewards.objective import Constraint, ObjectiveConfig, Term
from hydrasurr.rl.rewards.properties import LogP, Predicted

GAP = Term(property=Predicted(model=Path("model"), target="gap"), goal=Range(low=2, high=3, tolerance=0.5, caution=1.0))
PLAIN = ObjectiveConfig(terms=(GAP,))
LIMITED = ObjectiveConfig(terms=(GAP,), constraints=(Constraint(property=LogP(), at_most=4.0),))


def history(
    smiles: Sequence[str],
    predicted: Sequence[float],
    std: Sequence[float],
    logp: Sequence[float] | None = None,
) -> History:
    """Of PLAIN; with `logp` of LIMITED."""
    values, stds = np.array(predicted, float)[:, None], np.array(std, float)[:, None]
    if logp is not None:
        values, stds = np.c_[values, np.array(logp, float)], np.c_[stds, np.zeros(len(smiles))]
    objective = PLAIN if logp is None else LIMITED
    return History(tuple(smiles), Worth(objective.worth(values, stds), values, stds))
