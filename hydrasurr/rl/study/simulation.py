"""Simulations with measured costs: schedulers, and learners in step on more ranks than there are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hydrasurr.rl.scheduling.config import SchedulingConfig
from hydrasurr.rl.scheduling.simulate import simulate
from hydrasurr.rl.scheduling.tasks import Worker
from hydrasurr.rl.study.cluster import Plan, Simulated, simulate_cluster
from hydrasurr.rl.study.communication import Links, by_node_seconds, flat_seconds
from hydrasurr.rl.study.settings import Case, StudyConfig
from hydrasurr.scaling.models import MODELS
from hydrasurr.scaling.network import find_network

SCHEDULERS = {
    "static": ("block", False),
    "cyclic": ("cyclic", False),
    "dynamic": ("dynamic", False),
    "dynamic, guesses": ("dynamic", True),
    "predictive": ("predictive", True),
    "work stealing": ("stealing", True),
    "device-aware": ("device_aware", True),
}
"""What is compared: the scheduler, and whether costs are guessed beforehand."""
TWO_KINDS_UP_TO = 128
"""Workers of two kinds are simulated up to this number."""
SLOW = 0.5
"""Speed of the slower half."""


@dataclass(frozen=True)
class Measured:
    """What simulations draw from and rest on.

    Attributes
    ----------
    rollouts, learning : float64, seconds of rollouts and of updates
    handing : seconds between two rollouts of an actor that has the next one already
    gradient_bytes : of the run's policy
    compressed : bytes that are sent with the baseline's compression, over those without
    links : alpha and beta of an all-reduce here, by the model of the settings
    """

    rollouts: np.ndarray
    learning: np.ndarray
    handing: float
    gradient_bytes: int
    compressed: float
    links: tuple[float, float]


# -- schedulers ----------------------------------------------------------------------------------------


def compare_schedulers(study: StudyConfig, costs: np.ndarray) -> list[dict[str, Any]]:
    """Rows of scheduler, workers and kinds of workers: gamma, relative sigma_load and efficiency, means of repeats."""
    settings, rows = study.simulation, []
    for workers in settings.workers:
        for two_kinds in (False, True) if workers <= TWO_KINDS_UP_TO else (False,):
            repeats = max(settings.repeats, math.ceil(settings.rollouts / (workers * settings.tasks)))
            for name in SCHEDULERS:
                reports = [scheduled(study, name, costs, workers, two_kinds, seed) for seed in range(repeats)]
                values = {
                    key: float(np.mean([getattr(report, key) for report in reports]))
                    for key in ("gamma", "relative_sigma_load", "efficiency")
                }
                rows.append({"scheduler": name, "workers": workers, "two_kinds": two_kinds, **values})
    return rows


def example_loads(study: StudyConfig, costs: np.ndarray) -> dict[str, list[float]]:
    """Seconds that each of a few workers is busy, by scheduler: Fig. 4."""
    return {
        name: list(scheduled(study, name, costs, study.simulation.workers[0], False, 0).load)
        for name in ("static", "dynamic", "predictive")
    }


def scheduled(study: StudyConfig, name: str, costs: np.ndarray, workers: int, two_kinds: bool, seed: int) -> Any:
    """The LoadReport of one simulation; the same tasks for all schedulers."""
    random = np.random.default_rng(seed)
    scheduler, guessed = SCHEDULERS[name]
    cost = random.choice(costs, workers * study.simulation.tasks)
    hint = cost * random.lognormal(0.0, study.simulation.guess, len(cost)) if guessed else None
    crew, speed = [Worker()] * workers, np.ones(workers)
    if two_kinds:
        slower = np.arange(workers) % 2 == 1
        crew = [Worker("slow" if slow else "fast") for slow in slower]
        speed[slower] = SLOW
    config = SchedulingConfig(scheduler=scheduler)
    report = simulate(cost, crew, config, hint=np.maximum(hint, 1e-6) if guessed else None, speed=speed).report
    whole = report.seconds * speed.sum()  # schedulers were not told the speeds, so their efficiency is not this one
    return replace(report, efficiency=float(cost.sum() / whole))


# -- learners in step ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class System:
    """Which of its parts a simulated system has."""

    asynchronous: bool = True
    dynamic: bool = True
    prefetch: bool = True
    by_node: bool = True
    compression: bool = True


FULL = System()
WITHOUT_COMMUNICATION = System(by_node=False, compression=False)
OPTIMISATIONS = {
    "hierarchical all-reduce": (replace(FULL, by_node=False), "communication"),
    "gradient compression": (replace(FULL, compression=False), "communication"),
    "adaptive scheduling": (replace(FULL, dynamic=False), "idle"),
    "asynchronous prefetch": (replace(FULL, prefetch=False), "idle"),
    "asynchronous updates": (replace(FULL, asynchronous=False, prefetch=False), "idle"),
}
"""Each with the system that lacks it, and its bottleneck: seconds of an update in averages of gradients, or seconds
that an actor is idle for each rollout."""


class Cluster:
    """Simulations of one case of network and gradient."""

    def __init__(self, study: StudyConfig, measured: Measured, case: Case):
        self.study, self.measured, self.case = study, measured, case
        network = find_network(case.network)
        self.links = (
            Links(study.simulation.node, measured.links, measured.links) if network is None else Links.of(network)
        )
        self.name = "the links of this machine" if network is None else network.name
        self.bytes = measured.gradient_bytes if case.gradient_mb is None else case.gradient_mb * 2**20

    def communication(self, learners: int, system: System) -> float:
        """Seconds of an average of gradients."""
        size = self.bytes * (self.measured.compressed if system.compression else 1.0)
        seconds = by_node_seconds if system.by_node else flat_seconds
        return seconds(self.links, MODELS[self.study.simulation.all_reduce], learners, size)

    def run(self, learners: int, system: System = FULL, actors: int | None = None) -> dict[str, float]:
        """What came of it, means of repeats."""
        settings = self.study.simulation
        actors = actors or self.study.ablations.actors
        an_update = learners * (1 if system.asynchronous else actors)
        plan = Plan(
            learners=learners,
            actors=actors,
            rollouts=self.measured.rollouts,
            # A synchronous update learns from a rollout of each actor, in as many steps.
            learning=self.measured.learning * (1 if system.asynchronous else actors),
            communication=self.communication(learners, system) * (1 if system.asynchronous else actors),
            handing=self.measured.handing,
            ahead=int(system.prefetch and system.asynchronous),
            synchronous=not system.asynchronous,
            scheduling=SchedulingConfig(scheduler="dynamic" if system.dynamic else self.study.ablations.static),
            updates=max(settings.updates, math.ceil(settings.rollouts / an_update)),
        )
        runs = [simulate_cluster(replace(plan, seed=seed)) for seed in range(settings.repeats)]
        return _mean(runs, learners * actors, self.study.design.frames_a_rollout)

    def curve(self, system: System) -> list[dict[str, float]]:
        """Over numbers of learners, with speed-up and efficiency against one."""
        rows = [{"learners": count, **self.run(count, system)} for count in self.study.simulation.learners]
        one = next(row for row in rows if row["learners"] == 1)
        for row in rows:
            row["speedup"] = row["rate"] / one["rate"]
            row["efficiency"] = row["speedup"] / row["learners"]
        return rows

    def optimisations(self) -> list[dict[str, Any]]:
        """Table 2: the full system against the same without each of its parts."""
        count = self.study.simulation.table_at
        full, rows = self.run(count), []
        for name, (lacking, bottleneck) in OPTIMISATIONS.items():
            without = self.run(count, lacking)
            rows.append(
                {
                    "optimisation": name,
                    "bottleneck": bottleneck,
                    "with": full[bottleneck],
                    "without": without[bottleneck],
                    "reduction": 1 - full[bottleneck] / without[bottleneck] if without[bottleneck] else 0.0,
                    "utilisation": full["utilisation"] - without["utilisation"],
                    "rate": full["rate"] / without["rate"],
                }
            )
        return rows


def one_learner(study: StudyConfig, measured: Measured, counts: Sequence[int]) -> list[dict[str, float]]:
    """A single learner with more and more actors."""
    cluster = Cluster(study, measured, Case())
    return [{"actors": count, **cluster.run(1, actors=count)} for count in counts]


def _mean(runs: Sequence[Simulated], actors: int, frames: int) -> dict[str, float]:
    """Means of all that was simulated; `rate` in frames a second, `idle` in seconds of an actor per rollout.

    `actors` of all learners, and `frames` of a rollout.
    """
    rows = [
        vars(run) | {"eq11": run.eq11, "rate": run.rollouts * frames, "idle": run.actor_idle * actors / run.rollouts}
        for run in runs
    ]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
