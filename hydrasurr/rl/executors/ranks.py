"""Roles of the ranks of a job: learners first, then an evaluator, and actors, which are shared out to the learners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hydrasurr.errors import ConfigError

Role = Literal["learner", "evaluator", "actor"]


@dataclass(frozen=True)
class Roles:
    """Of `size` ranks.

    Attributes
    ----------
    learners : the first ranks
    evaluator : the rank after them is one; it belongs to the first learner
    """

    size: int
    learners: int
    evaluator: bool

    def __post_init__(self) -> None:
        needed = 2 * self.learners + self.evaluator
        if self.size < needed:
            told = f"{self.learners} learners{' and an evaluator' if self.evaluator else ''}"
            raise ConfigError(
                f"{self.size} ranks are too few for {told}, each with an actor at least: start {needed} or more, "
                "set running.learners, or take running.executor 'local', which starts actors itself"
            )

    @property
    def first_actor(self) -> int:
        return self.learners + self.evaluator

    def role(self, rank: int) -> Role:
        if rank < self.learners:
            return "learner"
        return "actor" if rank >= self.first_actor else "evaluator"

    def owner(self, rank: int) -> int:
        """The learner that a rank works for."""
        return (rank - self.first_actor) % self.learners if rank >= self.first_actor else 0

    def actors(self, learner: int) -> list[int]:
        """The ranks that work for a learner."""
        return list(range(self.first_actor + learner, self.size, self.learners))

    def evaluators(self, learner: int) -> list[int]:
        """The rank that evaluates for a learner, if there is one."""
        return [self.learners] if self.evaluator and learner == 0 else []
