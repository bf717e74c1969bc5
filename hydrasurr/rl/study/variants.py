"""The design runs of a study: the baseline, the same without one of its parts, in several shapes, with faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hydrasurr.rl.learners.ppo import PPOConfig
from hydrasurr.rl.running.config import DesignConfig
from hydrasurr.rl.study.settings import Fault, StudyConfig, Variant
from hydrasurr.training.config import CommunicationConfig

KILLED, STALLED = 0, 0
"""Actors that suffer."""
LEASE = {"quantile": 0.99, "factor": 2.0, "minimum": 2.0}
"""Of the run with an actor that stalls: its rollout is given to another as soon as it is late beyond doubt."""


@dataclass(frozen=True)
class Shape:
    """So many learners, each with so many actors."""

    learners: int
    actors: int

    @property
    def workers(self) -> int:
        """Actors of all learners."""
        return self.learners * self.actors

    def __str__(self) -> str:
        return f"{self.learners}x{self.actors}"


@dataclass(frozen=True)
class Run:
    """A design run to be made, and how it is called."""

    variant: Variant
    shape: Shape
    seed: int
    fault: Fault | None = None

    @property
    def name(self) -> str:
        return f"{self.variant}-{self.shape}-seed{self.seed}" + (f"-{self.fault}" if self.fault else "")

    @property
    def undisturbed(self) -> Run:
        return Run(self.variant, self.shape, self.seed)

    def config(self, study: StudyConfig) -> DesignConfig:
        """All that the run does."""
        raw = study.design.model_dump(mode="json")
        raw |= {"name": self.name, "seed": self.seed} | self._changes(study)
        raw["running"]["actors"] = self.shape.actors
        disturbance = raw["running"]["disturbance"]
        if self.fault == "kill_actor":
            disturbance["kill"] = {KILLED: fatal_rollout(study, self.shape)}
        elif self.fault == "stall_actor":
            disturbance["stall"] = {STALLED: study.faults.stall_seconds}
            raw["scheduling"]["lease"] |= LEASE
        elif self.fault == "restart_learner":
            raw["checkpoint_minutes"] = study.faults.checkpoint_minutes
        return DesignConfig.model_validate(raw)

    def _changes(self, study: StudyConfig) -> dict[str, Any]:
        match self.variant:
            case "no_async":
                return {"learner": synchronous(study, self.shape).model_dump(mode="json")}
            case "no_dynamic":
                scheduling = study.design.scheduling.model_copy(update={"scheduler": study.ablations.static})
                return {"scheduling": scheduling.model_dump(mode="json")}
            case "no_communication":
                bare = CommunicationConfig(overlap=False)
                return {"communication": bare.model_dump(mode="json")}
        return {}


def synchronous(study: StudyConfig, shape: Shape) -> PPOConfig:
    """The learner of the runs without asynchrony; see AblationSettings."""
    if study.ablations.synchronous is not None:
        return study.ablations.synchronous
    own = study.design.learner
    shared = {name: getattr(own, name) for name in PPOConfig.model_fields if name != "type" and hasattr(own, name)}
    return PPOConfig(**shared | {"epochs": 1, "minibatches": shape.actors})


def fatal_rollout(study: StudyConfig, shape: Shape) -> int:
    """The rollout in which an actor kills itself: not its first, in which it starts."""
    share = study.design.frames / study.design.frames_a_rollout / shape.workers
    return max(round(study.faults.kill_at * share), 2)


def scaling_shapes(study: StudyConfig) -> list[Shape]:
    """Of the runs of the baseline that show how it scales, the reference first."""
    alone = [Shape(1, actors) for actors in study.scaling.actors]
    return alone + [Shape(count, study.ablations.actors) for count in study.scaling.learners if count > 1]


def ablation_shape(study: StudyConfig) -> Shape:
    return Shape(study.ablations.learners, study.ablations.actors)


def fault_shape(study: StudyConfig) -> Shape:
    return Shape(1, study.faults.actors)
