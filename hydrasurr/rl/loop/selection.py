"""Which of the molecules that an agent has found are worth the time of an oracle."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator
from rdkit import Chem
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
from rdkit.DataStructs import BulkTanimotoSimilarity, ExplicitBitVect
from rdkit.SimDivFilters.rdSimDivPickers import MaxMinPicker

from hydrasurr.rl.rewards.history import History
from hydrasurr.rl.rewards.objective import Constraint, ObjectiveConfig, Term
from hydrasurr.strict import Strict

Why = Literal["promising", "uncertain", "diverse"]
_MORGAN = GetMorganGenerator(radius=2, fpSize=2048)


class SelectionConfig(Strict):
    """The `selection` section: molecules to label in each round, in three parts."""

    count: int = Field(64, ge=1)
    promising: float = Field(0.5, ge=0, le=1)
    """Part of the best by the objective, which is cautious already. Surrogate and oracle are compared on these."""
    uncertain: float = Field(0.25, ge=0, le=1)
    """Part of those that the surrogate is least sure of, among those that would be as good as the last promising one
    if it erred to their favour, by as many standard deviations as the objective is cautious by."""
    diverse: float = Field(0.25, ge=0, le=1)
    """Part of good ones that are as different from each other and from the other two parts as can be."""
    pool: int = Field(10, ge=1)
    """The uncertain and the diverse are among the best so many times `count`."""

    @model_validator(mode="after")
    def _parts_of_a_whole(self) -> SelectionConfig:
        if not math.isclose(self.promising + self.uncertain + self.diverse, 1, abs_tol=1e-9):
            raise ValueError("promising, uncertain and diverse are parts of a whole and must add up to 1")
        return self

    @property
    def counts(self) -> tuple[int, int, int]:
        """Of each part; what rounding leaves is for the promising."""
        uncertain, diverse = round(self.count * self.uncertain), round(self.count * self.diverse)
        uncertain = min(uncertain, self.count - min(diverse, self.count))
        return self.count - uncertain - diverse, uncertain, diverse


class Pick(NamedTuple):
    """A molecule to label: its place in the history, and why."""

    place: int
    why: Why


def select(
    history: History,
    objective: ObjectiveConfig,
    column: int,
    known: Collection[str],
    config: SelectionConfig,
    seed: int = 0,
) -> list[Pick]:
    """Choose molecules of a history: the promising first, best first, then the uncertain, then the diverse.

    Molecules that are `known`, or break a constraint, are not chosen. There may be less uncertain ones than asked for;
    there are more diverse ones then.

    Parameters
    ----------
    objective : that the history was evaluated by
    column : of `history.worth.properties`, the prediction whose standard deviation counts as uncertainty
    known : SMILES that need no label any more
    seed : of the first diverse one, if nothing else has been chosen
    """
    promising, uncertain, _ = config.counts
    reach = config.pool * config.count
    new = np.array([text not in known for text in history.smiles], bool)
    value = np.where(new & within_constraints(history, objective), history.worth.value, -np.inf)
    best = _best(value, promising)
    unsure = _unsure(history, objective, column, new, value[best].min(initial=np.inf), reach)
    unsure[best] = -np.inf
    chosen = best + (doubtful := _best(unsure, uncertain))
    rest = [place for place in _best(value, reach) if place not in set(chosen)]
    different = _different(history.smiles, chosen, rest, config.count - len(chosen), seed)
    groups: dict[Why, list[int]] = {"promising": best, "uncertain": doubtful, "diverse": different}
    return [Pick(place, why) for why, places in groups.items() for place in places]


def _unsure(
    history: History, objective: ObjectiveConfig, column: int, new: np.ndarray, least: float, reach: int
) -> np.ndarray:
    """float64 `[n]`: standard deviations of the `reach` molecules that might be best; -inf of all others.

    Those might be that, at their best, are worth `least` or more (infinity: any).
    """
    hopeful = optimistic(objective)
    hope = hopeful.worth(history.worth.properties, history.worth.std)
    good = new & within_constraints(history, hopeful) & ((hope >= least) | np.isinf(least))
    pool = _best(np.where(good, hope, -np.inf), reach)
    std = np.full(len(history), -np.inf)
    std[pool] = history.worth.std[pool, column]
    return np.where(std > 0, std, -np.inf)  # of what is certain nothing is learnt


def optimistic(objective: ObjectiveConfig) -> ObjectiveConfig:
    """The same objective with caution turned round: predictions count as the best value within so many standard
    deviations, an upper confidence bound."""

    def term(one: Term) -> Term:
        return one.model_copy(update={"goal": one.goal.model_copy(update={"caution": -one.goal.caution})})

    def constraint(one: Constraint) -> Constraint:
        return one.model_copy(update={"caution": -one.caution})

    parts = {"terms": tuple(map(term, objective.terms)), "constraints": tuple(map(constraint, objective.constraints))}
    return objective.model_copy(update=parts)


def within_constraints(history: History, objective: ObjectiveConfig) -> np.ndarray:
    """bool `[n]`: molecules whose properties are all known and break no constraint."""
    worth = history.worth
    good = np.isfinite(worth.properties).all(1)
    for k, constraint in enumerate(objective.constraints, start=len(objective.terms)):
        good &= constraint.holds(worth.properties[:, k], worth.std[:, k])
    return good


def fingerprints(smiles: Sequence[str]) -> list[ExplicitBitVect]:
    """Morgan fingerprints of radius 2 and 2,048 bits."""
    return [_MORGAN.GetFingerprint(Chem.MolFromSmiles(text)) for text in smiles]


def diversity(smiles: Sequence[str]) -> float:
    """Mean Tanimoto distance of all pairs, 0 to 1; 0 of less than two molecules."""
    prints = fingerprints(smiles)
    pairs = [1 - s for k in range(1, len(prints)) for s in BulkTanimotoSimilarity(prints[k], prints[:k])]
    return float(np.mean(pairs)) if pairs else 0.0


def _best(value: np.ndarray, count: int) -> list[int]:
    """Places of the largest finite values, largest first; of equal ones the earlier."""
    order = np.argsort(-value, kind="stable")[:count]
    return order[np.isfinite(value[order])].tolist()


def _different(smiles: Sequence[str], chosen: list[int], rest: list[int], count: int, seed: int) -> list[int]:
    """Up to `count` of the `rest`, each the farthest from all that are chosen before it (MaxMin)."""
    count = min(count, len(rest))
    if not count:
        return []
    pool = [*chosen, *rest]
    prints = fingerprints([smiles[place] for place in pool])
    first = list(range(len(chosen)))
    picked = MaxMinPicker().LazyBitVectorPick(prints, len(pool), len(chosen) + count, first, seed)
    return [pool[k] for k in list(picked)[len(chosen) :]]
