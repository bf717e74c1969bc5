"""Learners by name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hydrasurr.rl.learners.a3c import A3C, A3CConfig
from hydrasurr.rl.learners.apex import ApeX, ApeXConfig
from hydrasurr.rl.learners.base import Learner
from hydrasurr.rl.learners.impala import IMPALA, IMPALAConfig
from hydrasurr.rl.learners.ppo import PPO, PPOConfig
from hydrasurr.rl.learners.random_policy import RandomConfig, RandomPolicy

LearnerConfig = Annotated[PPOConfig | A3CConfig | IMPALAConfig | ApeXConfig | RandomConfig, Field(discriminator="type")]

LEARNERS: dict[str, type[Learner]] = {
    "ppo": PPO,
    "a3c": A3C,
    "impala": IMPALA,
    "apex": ApeX,
    "random": RandomPolicy,
}
"""By the `type` of their configuration."""
