"""A3C: actors send gradients, computed with the weights they have; the server applies them as they come."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from hydrasurr.rl.environment.actions import ActionSpace
from hydrasurr.rl.learners.base import Learner
from hydrasurr.rl.learners.optimizer import OptimizerConfig
from hydrasurr.rl.maths.returns import discounted
from hydrasurr.rl.policy.evaluate import evaluate, values_after
from hydrasurr.rl.policy.network import ActionNetwork
from hydrasurr.rl.policy.unroll import Unroll
from hydrasurr.strict import Strict


class A3CConfig(Strict):
    """V. Mnih et al., arXiv:1602.01783. Nothing corrects for older weights."""

    type: Literal["a3c"] = "a3c"
    steps: int = Field(5, ge=1)
    """Of each molecule in a gradient."""
    discount: float = Field(1.0, gt=0, le=1)
    value_weight: float = Field(0.5, ge=0)
    entropy_weight: float = Field(0.01, ge=0)
    shorten: bool = True
    """Make steps by gradients of weights that are n versions old 1 / (1 + n) as long."""
    optimizer: OptimizerConfig = OptimizerConfig()


class Gradient(NamedTuple):
    """What an actor sends: the gradient of each weight, the version of the weights, and what to report."""

    values: list[Tensor]
    version: int
    report: dict[str, float]


def gradient(config: A3CConfig, network: ActionNetwork, space: ActionSpace, unroll: Unroll) -> Gradient:
    """On the actor: of one unroll of the policy that it has."""
    shape = unroll.action.shape
    taken = evaluate(network, space, unroll.states, unroll.action.ravel())
    value, log_probability = taken.value.reshape(shape), taken.log_probability.reshape(shape)
    after = values_after(network, space, unroll, value.detach().cpu())
    target = discounted(torch.from_numpy(unroll.reward), after, torch.from_numpy(unroll.ended), config.discount)
    target = target.to(value.device)
    policy_loss = -((target - value.detach()) * log_probability).mean()
    value_loss = (value - target).square().mean() / 2
    entropy = taken.entropy.mean()
    loss = policy_loss + config.value_weight * value_loss - config.entropy_weight * entropy
    values = torch.autograd.grad(loss, list(network.parameters()))
    report = {"policy_loss": policy_loss, "value_loss": value_loss, "entropy": entropy}
    numbers = {name: float(number.detach()) for name, number in report.items()}
    return Gradient([part.cpu() for part in values], unroll.version, numbers)


class A3C(Learner):
    """The server: holds the weights and applies gradients, one an update."""

    def __init__(self, config: A3CConfig, network: ActionNetwork, space: ActionSpace, lanes: int = 1, seed: int = 0):
        super().__init__(config, network, space, lanes)
        self._sent: Gradient | None = None

    @staticmethod
    def digest(config: A3CConfig, network: ActionNetwork, space: ActionSpace, unroll: Unroll) -> Gradient:
        return gradient(config, network, space, unroll)

    def _take(self, lane: int, lag: int, content: Gradient) -> None:
        self._sent = content

    @property
    def ready(self) -> bool:
        return self._sent is not None

    pending = ready

    def _update(self) -> dict[str, float]:
        sent, self._sent = self._sent, None
        lag = self.version - sent.version
        for parameter, part in zip(self.network.parameters(), sent.values, strict=True):
            parameter.grad = part.to(parameter.device)
        norm = self.stepper.apply(1 / (1 + lag) if self.config.shorten else 1.0)
        return {**sent.report, "gradient_norm": float(norm)}
