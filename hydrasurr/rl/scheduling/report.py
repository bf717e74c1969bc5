"""How evenly work was spread over workers, in one record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hydrasurr.rl.scheduling.metrics import efficiency, gamma, relative_sigma_load, sigma_load


@dataclass(frozen=True)
class LoadReport:
    """Of one run.

    Attributes
    ----------
    scheduler : its name
    load : seconds that each worker was busy
    vain : of these, without a result that counts: workers that died, results that came too late
    seconds : from the first task handed out to the last one's end
    sigma_load : Eq. 4, seconds
    relative_sigma_load : over the mean load
    gamma : Eq. 5
    efficiency : work that counts over what the workers could have done in `seconds`, by their given speeds
    """

    scheduler: str
    load: tuple[float, ...]
    vain: tuple[float, ...]
    seconds: float
    sigma_load: float
    relative_sigma_load: float
    gamma: float
    efficiency: float

    @classmethod
    def of(
        cls, scheduler: str, load: np.ndarray, vain: np.ndarray, work: float, speed: Sequence[float], seconds: float
    ) -> LoadReport:
        return cls(
            scheduler,
            tuple(load.tolist()),
            tuple(vain.tolist()),
            seconds,
            sigma_load(load),
            relative_sigma_load(load),
            gamma(load),
            efficiency(work, speed, seconds),
        )

    def summary(self) -> dict[str, Any]:
        """Without what is said of each worker, for logs and tables."""
        each = ("load", "vain")
        return {"workers": len(self.load)} | {key: value for key, value in vars(self).items() if key not in each}
