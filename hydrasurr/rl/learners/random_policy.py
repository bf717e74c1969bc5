"""No learner: actions are drawn at random, all allowed ones alike likely. What others are compared with."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from hydrasurr.rl.environment.actions import ActionSpace
from hydrasurr.rl.learners.base import Learner
from hydrasurr.rl.policy.choosing import Chooser, EpsilonGreedy
from hydrasurr.rl.policy.network import ActionNetwork
from hydrasurr.rl.policy.unroll import Unroll
from hydrasurr.strict import Strict


class RandomConfig(Strict):
    """A baseline: takes any allowed action, and learns nothing."""

    type: Literal["random"] = "random"
    steps: int = Field(20, ge=1)
    """Of each molecule between messages."""


class RandomPolicy(Learner):
    """Counts contributions as updates."""

    def __init__(self, config: RandomConfig, network: ActionNetwork, space: ActionSpace, lanes: int = 1, seed: int = 0):
        super().__init__(config, network, space, lanes)
        self._came = False

    @staticmethod
    def chooser(config: RandomConfig, lane: int, lanes: int) -> Chooser:
        return EpsilonGreedy(1.0)

    @staticmethod
    def digest(config: RandomConfig, network: ActionNetwork, space: ActionSpace, unroll: Unroll) -> None:
        return None

    def _take(self, lane: int, lag: int, content: Any) -> None:
        self._came = True

    @property
    def ready(self) -> bool:
        return self._came

    pending = ready

    def _update(self) -> dict[str, float]:
        self._came = False
        return {}
