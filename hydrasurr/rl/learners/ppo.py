"""Proximal policy optimisation, and advantage actor-critic as its special case; all in step."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from hydrasurr.rl.environment.actions import ActionSpace
from hydrasurr.rl.learners.base import Learner, over_ranks
from hydrasurr.rl.learners.optimizer import OptimizerConfig
from hydrasurr.rl.maths.returns import gae
from hydrasurr.rl.policy.evaluate import evaluate, values, values_after
from hydrasurr.rl.policy.network import ActionNetwork
from hydrasurr.rl.policy.unroll import Unroll, side_by_side
from hydrasurr.strict import Strict


class PPOConfig(Strict):
    """J. Schulman et al., arXiv:1707.06347. With one epoch and one minibatch it is A2C, for nothing is clipped then."""

    type: Literal["ppo"] = "ppo"
    steps: int = Field(20, ge=1)
    """Of each molecule between updates."""
    epochs: int = Field(4, ge=1)
    minibatches: int = Field(4, ge=1)
    clip: float = Field(0.2, gt=0, lt=1)
    """An action whose probability has grown or shrunk by this part gains nothing by more."""
    discount: float = Field(1.0, gt=0, le=1)
    decay: float = Field(0.95, ge=0, le=1)
    """lambda of the advantages."""
    value_weight: float = Field(0.5, ge=0)
    entropy_weight: float = Field(0.01, ge=0)
    optimizer: OptimizerConfig = OptimizerConfig()


class PPO(Learner):
    """Learns from unrolls of the policy that it holds, one of each lane."""

    synchronous = True

    def __init__(self, config: PPOConfig, network: ActionNetwork, space: ActionSpace, lanes: int = 1, seed: int = 0):
        super().__init__(config, network, space, lanes)
        self._random = np.random.default_rng(seed)
        self._unrolls: dict[int, Unroll] = {}

    def _take(self, lane: int, lag: int, content: Unroll) -> None:
        self._unrolls[lane] = content

    @property
    def ready(self) -> bool:
        return len(self._unrolls) == self.lanes

    @property
    def pending(self) -> bool:
        return bool(self._unrolls)

    def _update(self) -> dict[str, float]:
        unroll = side_by_side([self._unrolls[lane] for lane in sorted(self._unrolls)])
        self._unrolls = {}
        return self.learn(unroll)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"random": self._random.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._random.bit_generator.state = state["random"]

    def learn(self, unroll: Unroll) -> dict[str, float]:
        """Some epochs over an unroll of the present policy; what to report of them."""
        advantage, target = self._advantages(unroll)
        sums: Counter[str] = Counter()
        updates = self.config.epochs * self.config.minibatches
        for _ in range(self.config.epochs):
            order = self._random.permutation(unroll.frames)
            for chosen in np.array_split(order, self.config.minibatches):
                sums.update(self._step(unroll, chosen, advantage, target))
        return {name: value / updates for name, value in sums.items()}

    def _advantages(self, unroll: Unroll) -> tuple[Tensor, Tensor]:
        """float32 `[T B]` each: standardised advantages, and what the values are to become."""
        value = values(self.network, self.space, unroll.states).reshape(unroll.action.shape)
        after = values_after(self.network, self.space, unroll, value)
        ended = torch.from_numpy(unroll.ended)
        advantage = gae(torch.from_numpy(unroll.reward), value, after, ended, self.config.discount, self.config.decay)
        target = advantage + value
        return standardised(advantage).flatten(), target.flatten()

    def _step(self, unroll: Unroll, chosen: np.ndarray, advantage: Tensor, target: Tensor) -> dict[str, float]:
        taken = evaluate(self.forward, self.space, unroll.states[chosen], unroll.action.ravel()[chosen])
        device = taken.value.device
        before = torch.from_numpy(unroll.log_probability.ravel()[chosen]).to(device)
        log_ratio, weight = taken.log_probability - before, advantage[chosen].to(device)
        ratio = log_ratio.exp()
        clipped = ratio.clamp(1 - self.config.clip, 1 + self.config.clip)
        policy_loss = -torch.minimum(ratio * weight, clipped * weight).mean()
        value_loss = (taken.value - target[chosen].to(device)).square().mean() / 2
        entropy = taken.entropy.mean()
        loss = policy_loss + self.config.value_weight * value_loss - self.config.entropy_weight * entropy
        norm = self.stepper.step(loss)
        divergence = (ratio - 1 - log_ratio).mean()  # an estimate of KL that is never negative
        report = {
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "entropy": entropy,
            "kl": divergence,
            "gradient_norm": norm,
        }
        return {name: float(value.detach()) for name, value in report.items()}


def standardised(values: Tensor) -> Tensor:
    """To mean 0 and standard deviation 1 over all ranks, so that results do not depend on their number."""
    double = values.double()
    count, total, square = over_ranks(torch.stack([torch.tensor(double.numel()), double.sum(), (double**2).sum()]))
    mean = total / count
    spread = (square / count - mean**2).clamp(min=0).sqrt()
    return ((double - mean) / (spread + 1e-8)).to(values.dtype)
