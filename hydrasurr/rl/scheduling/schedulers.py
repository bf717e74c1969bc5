"""Schedulers by name."""

from __future__ import annotations

import numpy as np

from hydrasurr.rl.scheduling.config import SchedulingConfig
from hydrasurr.rl.scheduling.crew import Crew
from hydrasurr.rl.scheduling.device_aware import DeviceAwareScheduler
from hydrasurr.rl.scheduling.dynamic import DynamicScheduler
from hydrasurr.rl.scheduling.predictive import PredictiveScheduler
from hydrasurr.rl.scheduling.scheduler import Scheduler
from hydrasurr.rl.scheduling.static import StaticScheduler
from hydrasurr.rl.scheduling.stealing import StealingScheduler


def make_scheduler(config: SchedulingConfig, crew: Crew) -> Scheduler:
    """The scheduler that `config` names, without tasks."""
    match config.scheduler:
        case "dynamic":
            return DynamicScheduler(crew)
        case "device_aware":
            return DeviceAwareScheduler(crew)
        case "predictive":
            return PredictiveScheduler(crew)
        case "stealing":
            return StealingScheduler(crew, np.random.default_rng(config.seed) if config.victim == "random" else None)
    return StaticScheduler(crew, cyclic=config.scheduler == "cyclic")
