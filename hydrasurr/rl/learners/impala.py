"""IMPALA: actors send what they did, the learner corrects for their older policies by V-trace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field

from hydrasurr.rl.environment.actions import ActionSpace
from hydrasurr.rl.learners.base import Learner
from hydrasurr.rl.learners.optimizer import OptimizerConfig
from hydrasurr.rl.maths.returns import vtrace
from hydrasurr.rl.policy.evaluate import evaluate, values_after
from hydrasurr.rl.policy.network import ActionNetwork
from hydrasurr.rl.policy.unroll import Unroll, side_by_side
from hydrasurr.strict import Strict


class IMPALAConfig(Strict):
    """L. Espeholt et al., arXiv:1802.01561."""

    type: Literal["impala"] = "impala"
    steps: int = Field(20, ge=1)
    """Of each molecule in an unroll."""
    unrolls: int = Field(1, ge=1)
    """In an update."""
    discount: float = Field(1.0, gt=0, le=1)
    decay: float = Field(1.0, ge=0, le=1)
    cut: float = Field(1.0, gt=0)
    """Largest importance weight, rho."""
    trace_cut: float = Field(1.0, gt=0)
    """Largest weight of a trace, c."""
    value_weight: float = Field(0.5, ge=0)
    entropy_weight: float = Field(0.01, ge=0)
    max_lag: int = Field(30, ge=0)
    """Unrolls of a policy more versions old are thrown away, and counted."""
    optimizer: OptimizerConfig = OptimizerConfig()


class IMPALA(Learner):
    """Learns from unrolls of its own and of older policies."""

    def __init__(self, config: IMPALAConfig, network: ActionNetwork, space: ActionSpace, lanes: int = 1, seed: int = 0):
        super().__init__(config, network, space, lanes)
        self._unrolls: list[Unroll] = []

    def _take(self, lane: int, lag: int, content: Unroll) -> None:
        if lag > self.config.max_lag:
            self.lags.discarded += 1
        else:
            self._unrolls.append(content)

    @property
    def ready(self) -> bool:
        return len(self._unrolls) == self.config.unrolls

    @property
    def pending(self) -> bool:
        return bool(self._unrolls)

    def _update(self) -> dict[str, float]:
        unrolls, self._unrolls = self._unrolls, []
        return self.learn(unrolls)

    def learn(self, unrolls: Sequence[Unroll]) -> dict[str, float]:
        """One step from unrolls of equal shape; what to report of it."""
        unroll = side_by_side(unrolls)
        shape = unroll.action.shape
        taken = evaluate(self.forward, self.space, unroll.states, unroll.action.ravel())
        device = taken.value.device
        value, log_probability = taken.value.reshape(shape), taken.log_probability.reshape(shape)
        with torch.no_grad():
            trace = vtrace(
                log_probability.cpu() - torch.from_numpy(unroll.log_probability),
                torch.from_numpy(unroll.reward),
                value.cpu(),
                values_after(self.network, self.space, unroll, value.detach().cpu()),
                torch.from_numpy(unroll.ended),
                self.config.discount,
                self.config.decay,
                self.config.cut,
                self.config.trace_cut,
            )
        policy_loss = -(trace.advantage.to(device) * log_probability).mean()
        value_loss = (value - trace.target.to(device)).square().mean() / 2
        entropy = taken.entropy.mean()
        loss = policy_loss + self.config.value_weight * value_loss - self.config.entropy_weight * entropy
        norm = self.stepper.step(loss)
        report = {"policy_loss": policy_loss, "value_loss": value_loss, "entropy": entropy, "gradient_norm": norm}
        return {name: float(number.detach()) for name, number in report.items()}
