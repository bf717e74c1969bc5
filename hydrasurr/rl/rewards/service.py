"""Answers what molecules are worth, and evaluates each molecule once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import islice

import numpy as np

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.environment.molecules import Molecules
from hydrasurr.rl.environment.smiles import to_smiles
from hydrasurr.rl.rewards.evaluator import Column, Evaluator
from hydrasurr.rl.rewards.history import History, concatenate
from hydrasurr.rl.rewards.objective import ObjectiveConfig
from hydrasurr.rl.rewards.statistics import Statistics


class BudgetSpent(HydrasurrError):
    """As many different molecules as allowed have been evaluated, and one more was asked for."""


class RewardService:
    """Objective of environments: evaluates molecules in batches and remembers them by canonical SMILES.

    Parameters
    ----------
    config : what molecules are worth
    budget : different molecules that may be evaluated; None: any number
    history : of an earlier service with the same objective, to go on from: its molecules are known and count

    Raises HydrasurrError if a model cannot be loaded.

    Attributes
    ----------
    statistics : of this service, which an earlier one's history is no part of
    """

    def __init__(self, config: ObjectiveConfig, budget: int | None = None, history: History | None = None):
        self.budget, self.statistics = budget, Statistics()
        self._evaluator = Evaluator(config)
        self._value: dict[str, float] = {}  # in the order of evaluation
        self._worths = [self._evaluator([])]
        if history is not None:
            self.adopt(history)
        self._told = len(self._value)

    def __call__(self, molecules: Molecules) -> np.ndarray:
        """float64 `[B]`: what molecules are worth. Raises BudgetSpent as `ask` does."""
        return self.ask(to_smiles(molecules))

    def ask(self, smiles: Sequence[str]) -> np.ndarray:
        """float64 `[n]`: what molecules are worth, by their canonical SMILES.

        Raises BudgetSpent if the budget does not suffice; the molecules for which it does have then been evaluated.
        """
        start = time.perf_counter()
        try:
            [answer] = self.answer([smiles])
        finally:
            self.statistics.note_call(len(smiles), time.perf_counter() - start)
        if isinstance(answer, BudgetSpent):
            raise answer
        return answer

    def answer(self, requests: Sequence[Sequence[str]]) -> list[np.ndarray | BudgetSpent]:
        """Several requests as by `ask`, with one evaluation for all of them; the first ones have the budget first."""
        new = [text for text in dict.fromkeys(t for smiles in requests for t in smiles) if text not in self._value]
        if self.budget is not None:
            new = new[: max(self.budget - len(self._value), 0)]
        if new:
            worth = self._evaluator(new)
            self._value.update(zip(new, worth.value.tolist(), strict=True))
            self._worths.append(worth)
            self.statistics.note_evaluation(len(new))
        return [self._known(smiles) for smiles in requests]

    def _known(self, smiles: Sequence[str]) -> np.ndarray | BudgetSpent:
        try:
            return np.array([self._value[text] for text in smiles], np.float64)
        except KeyError:
            return BudgetSpent(f"all {self.budget} evaluations of the budget are spent")

    def history(self) -> History:
        """All molecules evaluated so far."""
        self._worths = [concatenate(self._worths)]
        return History(tuple(self._value), self._worths[0])

    def news(self) -> History:
        """Those that have become known since the last call of this, or since the service began."""
        smiles = tuple(islice(self._value, self._told, None))
        self._told, missing, parts = len(self._value), len(smiles), []
        for worth in reversed(self._worths):
            if missing > 0:
                parts.append(worth[-missing:])
                missing -= len(worth.value)
        return History(smiles, concatenate(parts[::-1] or [self._worths[0][:0]]))

    def adopt(self, history: History) -> bool:
        """Molecules that another service has evaluated by the same objective are known from now on, and count. Those of
        them that have been known keep their worth. Returns whether the budget is spent now, or more than that."""
        new = [place for place, text in enumerate(history.smiles) if text not in self._value]
        worth = history.worth[np.array(new, np.int64)]
        self._value.update(zip([history.smiles[place] for place in new], worth.value.tolist(), strict=True))
        self._worths.append(worth)
        return self.budget is not None and len(self._value) >= self.budget

    def summary(self) -> dict[str, float]:
        """The statistics, for logs and reports."""
        return self.statistics.summary()

    def progress(self, top: int) -> dict[str, float]:
        """How many different molecules are known, and the mean worth of the best `top` of them; and the statistics."""
        values = np.fromiter(self._value.values(), np.float64, len(self._value))
        best = np.sort(np.partition(values, -top)[-top:] if len(values) > top else values)  # a mean hangs on the order
        found = {"evaluations": len(values), "best": float(best.mean()) if len(best) else float("nan")}
        return found | self.summary()

    @property
    def columns(self) -> list[Column]:
        """Names and units of the columns of `Worth.properties`."""
        return self._evaluator.columns
