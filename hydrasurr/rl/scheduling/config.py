"""The `scheduling` section of a configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hydrasurr.strict import Strict


class LeaseConfig(Strict):
    """How long a worker may keep a task before it is given to another."""

    attempts: int = Field(3, ge=1)
    """A task that so many workers died with, or did not finish in time, has failed."""
    seconds: float | None = Field(None, gt=0)
    """Null: from what such tasks took; until enough tasks are done to know it, workers may keep theirs."""
    quantile: float = Field(0.99, gt=0, lt=1)
    """The part of tasks that is expected to take no longer than..."""
    factor: float = Field(4.0, gt=0)
    """...the lease over this. It doubles with each attempt."""
    minimum: float = Field(60.0, ge=0)
    """Seconds."""


class SchedulingConfig(Strict):
    """How tasks are dealt to workers."""

    scheduler: Literal["block", "cyclic", "dynamic", "predictive", "stealing", "device_aware"] = "dynamic"
    """block, cyclic: fixed shares. dynamic: whoever is free takes the largest task left. predictive: lists made so
    that all are expected to finish together. stealing: lists, and who has none left takes half of another's.
    device_aware: dynamic, and slow workers leave the last large tasks to fast ones."""
    victim: Literal["fullest", "random"] = "fullest"
    """From whom to steal."""
    seed: int = Field(0, ge=0)
    """Of the choice of random victims."""
    lease: LeaseConfig = LeaseConfig()
