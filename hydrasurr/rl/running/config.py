"""A design run as one strict JSON file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from hydrasurr.errors import ConfigError
from hydrasurr.models.config import ConvConfig, ModelConfig
from hydrasurr.models.gin import GINConfig
from hydrasurr.rl.environment.episodes import EpisodeConfig
from hydrasurr.rl.learners.choice import LEARNERS, LearnerConfig
from hydrasurr.rl.learners.ppo import PPOConfig
from hydrasurr.rl.policy.choosing import Chooser, EpsilonGreedy, draw
from hydrasurr.rl.rewards.objective import ObjectiveConfig
from hydrasurr.rl.scheduling.config import SchedulingConfig
from hydrasurr.strict import Strict, override, parse, read_json
from hydrasurr.training.config import CommunicationConfig


class PolicyModelConfig(ModelConfig):
    """The graph network of a policy; its heads, pooling and uncertainty are not used."""

    conv: ConvConfig = GINConfig(type="GIN")
    hidden: int = Field(64, gt=0)
    layers: int = Field(3, gt=0)
    norm: Literal["layer", "none"] = "layer"
    """Statistics of batches would change with whatever the agent happens to look at."""


class DisturbanceConfig(Strict):
    """What a study does to actors, to see what comes of it. Everything else is as it would be without."""

    delay: float = Field(0.0, ge=0)
    """Mean seconds that a rollout takes longer; how much longer is drawn for each from a lognormal distribution."""
    delay_spread: float = Field(1.0, ge=0)
    """Standard deviation of its logarithm."""
    slow: dict[int, float] = {}
    """By number, actors whose rollouts take so many times as long."""
    kill: dict[int, int] = {}
    """By number, actors that kill themselves in their n-th rollout (the first one is 1). Each dies once."""
    stall: dict[int, float] = {}
    """By number, actors that stop for so many seconds in their second rollout. Each does so once."""


class RunningConfig(Strict):
    """Who does what, and where."""

    executor: Literal["local", "mpi", "torchrun", "ray"] = "local"
    """Where actors run. local: processes of this machine, for each learner; learners are the ranks of a launcher, or
    this one process. mpi: ranks of mpirun or srun. torchrun: ranks of torchrun. ray: actors of Ray. Actors that die are
    replaced with local and ray; with mpi and torchrun the job ends, and goes on with --resume. Each machine has a
    reward service of its own."""
    learners: int | None = Field(None, ge=1)
    """With mpi and torchrun: so many of the first ranks are learners, 1 by default; the others are actors."""
    actors: int = Field(2, ge=1)
    """Of each learner; with mpi and torchrun those ranks that are left are shared out."""
    evaluator: bool = False
    """One more process (with mpi and torchrun: rank) plays whole episodes with the newest policy."""
    lanes: int | None = Field(None, ge=1)
    """Batches of molecules in episodes, for each learner. A lane is played by whichever actor is free, so results do
    not depend on the number of actors. null: as many as actors, and if actors need not wait for updates twice as many,
    so that each has its next rollout before it has finished one."""
    molecules: int = Field(32, ge=1)
    """In each lane."""
    ahead: int | None = Field(None, ge=0)
    """Rollouts that an actor has waiting beside the one it plays. null: 1, with synchronous learners 0."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Of learners."""
    actor_device: Literal["cpu", "cuda"] = "cpu"
    threads: int = Field(1, ge=1)
    """CPU threads of torch for each process."""
    disturbance: DisturbanceConfig = DisturbanceConfig()


class EvaluationConfig(Strict):
    """What the evaluator does."""

    every: int = Field(10, ge=1)
    """Updates between two evaluations; the learner waits for an evaluator that is several behind."""
    molecules: int = Field(64, ge=1)


class DesignConfig(Strict):
    """An agent that designs molecules."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    """Name of the run; its folder is runs/NAME unless the command line says otherwise."""
    environment: EpisodeConfig = EpisodeConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    model: PolicyModelConfig = PolicyModelConfig()
    learner: LearnerConfig = PPOConfig()
    running: RunningConfig = RunningConfig()
    communication: CommunicationConfig = CommunicationConfig()
    """How several learners average their gradients."""
    scheduling: SchedulingConfig = SchedulingConfig()
    """How rollouts are dealt to actors."""
    evaluation: EvaluationConfig = EvaluationConfig()
    frames: int = Field(1_000_000, ge=1)
    """Actions, in the lanes of all learners together, after which the run ends."""
    budget: int | None = Field(None, ge=1)
    """Different molecules that may be evaluated; the run ends with them. null: any number."""
    seed: int = Field(0, ge=0)
    checkpoint_minutes: float = Field(5.0, ge=0)
    """Between checkpoints; 0: after each update."""
    top: int = Field(100, ge=1)
    """Best molecules to report."""
    top_k: int = Field(10, ge=1)
    """Whose mean worth is followed through the run."""

    @model_validator(mode="after")
    def _keys_agree(self) -> DesignConfig:
        running = self.running
        by_rank = running.executor in ("mpi", "torchrun")
        if running.learners is not None and not by_rank:
            raise ValueError(
                f"running.learners is for the executors mpi and torchrun; with '{running.executor}' learners are the "
                "ranks of a launcher: leave it out and start, say, torchrun --nproc-per-node 2 -m hydrasurr design ..."
            )
        if self.learner.type == "a3c" and (running.learners or 1) > 1:
            raise ValueError("running.learners: A3C has one server that applies gradients; use 1, or another learner")
        if self.synchronous and running.ahead:
            raise ValueError("running.ahead: with a synchronous learner no rollout can be played ahead; leave it out")
        least = 1 if by_rank else running.actors
        if self.synchronous and self.learner.minibatches > self.frames_a_rollout * (running.lanes or least):
            raise ValueError("learner.minibatches: more than there are steps in the rollouts of an update")
        return self

    @property
    def synchronous(self) -> bool:
        return LEARNERS[self.learner.type].synchronous

    @property
    def ahead(self) -> int:
        given = self.running.ahead
        return given if given is not None else (0 if self.synchronous else 1)

    def lanes(self, actors: int) -> int:
        """Of a learner with so many actors."""
        return self.running.lanes or actors * (1 + self.ahead)

    @property
    def final_chooser(self) -> Chooser:
        """How a trained agent chooses: it draws from its policy, or takes what it finds best where it has values, now
        and then something else, since it would always build the same molecule."""
        kind = self.learner.type
        return EpsilonGreedy({"apex": 0.05, "random": 1.0}[kind]) if kind in ("apex", "random") else draw

    @property
    def frames_a_rollout(self) -> int:
        return self.learner.steps * self.running.molecules


def load_design_config(path: str | Path, overrides: list[str] | None = None) -> DesignConfig:
    """Read a design run's JSON and apply `key.subkey=value` overrides. Raises ConfigError naming file and key."""
    raw = read_json(path)
    if not isinstance(raw, dict):
        raise ConfigError(f"'{path}' holds a {type(raw).__name__}, an object with the keys of a run is expected")
    override(raw, overrides or [])
    return parse(DesignConfig, raw, path, overrides or [])
