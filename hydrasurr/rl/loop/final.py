"""What a loop ends with: the best molecules of all rounds, and what the oracle says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hydrasurr.rl.loop.comparison import Molecule
from hydrasurr.rl.loop.config import LoopConfig, is_own
from hydrasurr.rl.loop.selection import Pick, within_constraints
from hydrasurr.rl.oracle.journal import Entry
from hydrasurr.rl.rewards.evaluator import Evaluator
from hydrasurr.rl.rewards.history import History, Worth, concatenate
from hydrasurr.rl.rewards.objective import ObjectiveConfig

CONSIDERED = 20_000
"""Molecules of each round that may be among the best at the end."""
BATCH = 4096
"""Molecules that are evaluated at once."""


def candidates(
    histories: Sequence[History], objective: ObjectiveConfig, known: set[str], count: int
) -> tuple[list[Pick], History]:
    """The best molecules that the oracle has not been asked for, and all those that were considered.

    The best CONSIDERED of each round are evaluated anew, by the last surrogate: what an earlier one thought of them
    counts no more.
    """
    best = [history.top(CONSIDERED) for history in histories]
    proposed = evaluate(list(dict.fromkeys(text for history in best for text in history.smiles)), objective)
    new = np.array([text not in known for text in proposed.smiles], bool)
    value = np.where(new & within_constraints(proposed, objective), proposed.worth.value, -np.inf)
    order = np.argsort(-value, kind="stable")[:count]
    return [Pick(place, "promising") for place in order[np.isfinite(value[order])].tolist()], proposed


def labelled(
    histories: Sequence[History], entries: Mapping[str, Entry], objective: ObjectiveConfig, config: LoopConfig
) -> list[Molecule]:
    """Molecules of the agent that have a label and break no constraint.

    Their order, and their worth, is by the objective with the oracle's values in place of predictions.
    """
    asked = {text: e.label.values for text, e in entries.items() if e.label is not None}
    mine = {text for history in histories for text in history.smiles}
    known = evaluate([text for text in asked if text in mine], objective)
    true = np.array([asked[text][config.target] for text in known.smiles])
    properties, std = known.worth.properties.copy(), known.worth.std.copy()
    for column, part in enumerate((*config.template.terms, *config.template.constraints)):
        if is_own(part):
            properties[:, column] = [asked[text][part.property.target] for text in known.smiles]
            std[:, column] = 0.0
    judged = History(known.smiles, Worth(objective.worth(properties, std), properties, std))
    good = within_constraints(judged, objective)
    order = np.argsort(-judged.worth.value, kind="stable")
    predicted, spread = known.worth.properties[:, config.column], known.worth.std[:, config.column]
    return [
        Molecule(
            known.smiles[k],
            "labelled",
            float(judged.worth.value[k]),
            float(predicted[k]),
            float(spread[k]),
            float(true[k]),
        )
        for k in order.tolist()
        if good[k]
    ]


def best_known(judged: Sequence[Molecule], verified: Sequence[Molecule], count: int) -> list[Molecule]:
    """The best molecules by what was known when the best unknown ones were chosen, best first.

    That is the oracle's value of those labelled before, and the surrogate's of the others.

    Parameters
    ----------
    judged : of `labelled`
    verified : the best of those that had no label, with what they were thought worth
    """
    new = {one.smiles for one in verified}
    earlier = [one for one in judged if one.smiles not in new]
    return sorted([*earlier, *verified], key=lambda one: -one.worth)[:count]


def evaluate(smiles: list[str], objective: ObjectiveConfig) -> History:
    """Molecules as a history of this objective."""
    evaluator = Evaluator(objective)
    parts = [evaluator(smiles[start : start + BATCH]) for start in range(0, max(len(smiles), 1), BATCH)]
    return History(tuple(smiles), concatenate(parts))
