"""What is done to actors on purpose: delays, stalls and deaths."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

from hydrasurr.rl.running.config import DisturbanceConfig
from hydrasurr.rl.running.lanes import Lane


class Disturbance:
    """Of one actor.

    Parameters
    ----------
    marks : folder in which it is noted what has been done, so that it is not done again to who comes after

    Attributes
    ----------
    waited : seconds that the last rollout took longer
    """

    def __init__(self, config: DisturbanceConfig, actor: int, seed: int, marks: Path):
        self.config, self.actor, self.seed, self.marks = config, actor, seed, marks
        self.waited = 0.0
        self._rollouts = 0

    def before(self) -> None:
        """A rollout begins: die or stall if it is time to."""
        self._rollouts += 1
        if self._rollouts == self.config.kill.get(self.actor) and self._once("killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        if self._rollouts == 2 and self.actor in self.config.stall and self._once("stalled"):
            time.sleep(self.config.stall[self.actor])

    def after(self, lane: Lane, seconds: float) -> None:
        """A rollout took `seconds`: let it take longer."""
        self.waited = seconds * (self.config.slow.get(self.actor, 1.0) - 1)
        if self.config.delay:
            random = np.random.default_rng((self.seed, lane.number, lane.rollouts))
            spread = self.config.delay_spread
            self.waited += self.config.delay * float(random.lognormal(-(spread**2) / 2, spread))
        if self.waited > 0:
            time.sleep(self.waited)

    def _once(self, what: str) -> bool:
        """Whether it has not been done yet; it counts as done from now on."""
        self.marks.mkdir(parents=True, exist_ok=True)
        try:
            (self.marks / f"{what}-{self.actor}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True
