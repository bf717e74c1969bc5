"""What all learners have in common: they hold the weights, take what actors send, and make steps from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch.distributed as dist
from torch import Tensor, nn

from hydrasurr.rl.environment.actions import ActionSpace
from hydrasurr.rl.learners.optimizer import OptimizerConfig, Stepper
from hydrasurr.rl.policy.choosing import Chooser, draw
from hydrasurr.rl.policy.network import ActionNetwork
from hydrasurr.rl.policy.unroll import Unroll


@dataclass
class Lags:
    """How many versions older than the learner's the weights were that actors acted by.

    Attributes
    ----------
    seen : of each contribution since the last `take`
    discarded : of these, contributions that were too old to be learnt from
    """

    seen: list[int] = field(default_factory=list)
    discarded: int = 0

    def take(self) -> dict[str, float]:
        """For the record of an update; and begin anew."""
        seen = self.seen or [0]
        record = {"min": min(seen), "mean": sum(seen) / len(seen), "max": max(seen), "discarded": self.discarded}
        self.seen, self.discarded = [], 0
        return record


class Learner(ABC):
    """Learns from contributions, each of which is made of an unroll of one lane (a batch of molecules in episodes).

    Parameters
    ----------
    config : its constants
    network : trained in place
    space : the numbers of actions
    lanes : how many there are, on this rank
    seed : of what it draws at random

    Attributes
    ----------
    synchronous : lanes wait while it learns, so that all contributions are of its present weights
    forward : what is called where gradients are wanted: the network, or on several ranks what averages its gradients
    version : updates so far
    """

    synchronous: ClassVar[bool] = False

    def __init__(self, config: Any, network: ActionNetwork, space: ActionSpace, lanes: int = 1, seed: int = 0):
        self.config, self.network, self.space, self.lanes = config, network, space, lanes
        self.forward: nn.Module = network
        self.stepper = Stepper(config.optimizer, network) if isinstance(self.optimizer, OptimizerConfig) else None
        self.version, self.lags = 0, Lags()

    @property
    def optimizer(self) -> OptimizerConfig | None:
        return getattr(self.config, "optimizer", None)

    # -- on actors -------------------------------------------------------------------------------------

    @staticmethod
    def chooser(config: Any, lane: int, lanes: int) -> Chooser:
        """How actions are chosen in a lane, of so many on all ranks."""
        return draw

    @staticmethod
    def digest(config: Any, network: ActionNetwork, space: ActionSpace, unroll: Unroll) -> Any:
        """What is sent of an unroll."""
        return unroll

    # -- on the learner --------------------------------------------------------------------------------

    def take(self, lane: int, version: int, content: Any) -> None:
        """A contribution has come: what `digest` made of an unroll by weights of that version."""
        self.lags.seen.append(self.version - version)
        self._take(lane, self.version - version, content)

    @abstractmethod
    def _take(self, lane: int, lag: int, content: Any) -> None: ...

    @property
    @abstractmethod
    def ready(self) -> bool:
        """There is enough for an update. Several ranks become ready equally often, if they take equally much."""

    @property
    @abstractmethod
    def pending(self) -> bool:
        """There are contributions that no update has made use of yet, and that are no part of `state_dict`."""

    def update(self) -> dict[str, float]:
        """Learn; what to report of it. Called by all ranks together."""
        report = self._update()
        self.version += 1
        return report

    @abstractmethod
    def _update(self) -> dict[str, float]: ...

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint: tensors and plain values."""
        optimizer = self.stepper.optimizer.state_dict() if self.stepper else {}
        return {"network": self.network.state_dict(), "optimizer": optimizer, "version": self.version}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        if self.stepper:
            self.stepper.optimizer.load_state_dict(state["optimizer"])
        self.version = state["version"]


def over_ranks(values: Tensor, operation: dist.ReduceOp.RedOpType = dist.ReduceOp.SUM) -> Tensor:
    """The sum (or what `operation` says) over all learners, elementwise; `values` itself if there is but one."""
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        values = values.clone()
        dist.all_reduce(values, operation)
    return values
