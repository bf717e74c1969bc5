"""What a study of distributed agents does, as one strict configuration."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from hydrasurr.errors import ConfigError
from hydrasurr.rl.learners.ppo import PPOConfig
from hydrasurr.rl.running.config import DesignConfig
from hydrasurr.scaling.network import find_network
from hydrasurr.strict import Strict, override, parse, read_json

Ablation = Literal["no_async", "no_dynamic", "no_communication"]
Variant = Literal["baseline"] | Ablation
"""The whole system, and the same without one of its parts: the ablations of Fig. 7."""
Fault = Literal["kill_actor", "stall_actor", "restart_learner"]
Count = Annotated[int, Field(ge=1)]

DESIGN: dict[str, Any] = {
    "name": "study",
    "environment": {"rules": {"max_atoms": 10}, "max_steps": 12, "reward": "dense"},
    "objective": {"terms": [{"property": {"type": "penalised_logp"}}]},
    "model": {"hidden": 32, "layers": 2},
    "learner": {"type": "impala", "steps": 12, "optimizer": {"learning_rate": 0.004}},
    "communication": {"compression": "powersgd", "powersgd_start": 5, "overlap": True, "hierarchical": True},
    "running": {"molecules": 16, "disturbance": {"delay": 0.4, "delay_spread": 1.0}},
    "frames": 24_576,
}
"""The run that is studied: small molecules and a small network, which need no trained surrogate; rollouts take longer
by a random time, as they would with an oracle or a larger environment."""


class ScalingSettings(Strict):
    """The same run with more and more actors, and with more learners."""

    actors: tuple[Count, ...] = (1, 2, 4, 8)
    """Of one learner; speed-ups refer to one actor."""
    learners: tuple[Count, ...] = (2,)
    """Beside one: each with the actors that `ablations` say."""
    most: int = Field(128, ge=2)
    """Actors that the fitted S(N) is drawn to."""

    @model_validator(mode="after")
    def _rising(self) -> ScalingSettings:
        for name in ("actors", "learners"):
            counts = getattr(self, name)
            if list(counts) != sorted(set(counts)):
                raise ValueError(f"{name}: different counts in rising order are expected")
        if not self.actors or self.actors[0] != 1:
            raise ValueError("actors: 1 must be the first, as speed-ups refer to it")
        return self


class AblationSettings(Strict):
    """The run without one of its parts; all in the same shape, over all seeds."""

    variants: tuple[Ablation, ...] = ("no_async", "no_dynamic", "no_communication")
    learners: int = Field(2, ge=1)
    """With one there is nothing to communicate."""
    actors: int = Field(2, ge=1)
    """Of each learner."""
    synchronous: PPOConfig | None = None
    """The learner without asynchrony. null: PPO with the steps and the optimizer of the run's own learner, one epoch,
    and as many minibatches as lanes, so that it takes as many steps of the optimizer, each from as many actions."""
    static: Literal["block", "cyclic"] = "block"
    """The scheduler without dynamic scheduling."""
    target: float = Field(0.8, gt=0, le=1)
    """Convergence speed counts until this share of the baseline's final gain of the objective."""
    episodes: int = Field(256, ge=2)
    """Of each trained agent, for the distribution of final rewards."""


class FaultSettings(Strict):
    """Faults on purpose, with one learner."""

    kinds: tuple[Fault, ...] = ("kill_actor", "stall_actor", "restart_learner")
    actors: int = Field(4, ge=1)
    kill_at: float = Field(0.4, gt=0, lt=1)
    """An actor kills itself after this share of the rollouts that fall to it."""
    stall_seconds: float = Field(10.0, gt=0)
    """For which an actor stops in its second rollout."""
    restart_at: float = Field(0.5, gt=0, lt=1)
    """Share of the frames after which the learner is killed (SIGKILL), to be resumed at once."""
    checkpoint_minutes: float = Field(0.05, ge=0)
    """Of the run whose learner is killed."""
    variants: tuple[Literal["no_async", "no_dynamic"], ...] = ("no_async", "no_dynamic")
    """Ablations that suffer the faults too, with the first seed; others are given the robustness of the baseline."""


class LinkSettings(Strict):
    """What sending takes, measured between processes of this machine."""

    ranks: tuple[Annotated[int, Field(ge=2)], ...] = (2, 4)
    repeats: int = Field(5, ge=2)
    most_mb: float = Field(4.0, gt=0)
    """Largest message of the all-reduce, MiB."""


class Case(Strict):
    """A network and a gradient to simulate with."""

    network: str = "measured"
    """A preset of `hydrasurr scaling --network`, a JSON file, or "measured": the links of this machine, as if it had
    more of them."""
    gradient_mb: float | None = Field(None, gt=0)
    """MiB; null: that of the run's own policy."""


class SimulationSettings(Strict):
    """Discrete events with the task costs of the measured runs."""

    workers: tuple[Count, ...] = (8, 128, 1024)
    """Sizes at which schedulers are compared."""
    tasks: int = Field(16, ge=1)
    """For each worker."""
    guess: float = Field(0.3, ge=0)
    """Schedulers that plan know costs beforehand up to a lognormal factor, with this standard deviation of its
    logarithm."""
    learners: tuple[Count, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 1024)
    """Each with the actors that `ablations` say."""
    updates: int = Field(60, ge=4)
    """Of each simulated run, or more."""
    repeats: int = Field(2, ge=1)
    """Simulations with other random numbers, or more."""
    rollouts: int = Field(8192, ge=1)
    """Few workers go on for more updates, or tasks are dealt to them more often, until they have done so many: their
    times have a long tail, and what is compared with them would be as uncertain as they are."""
    cases: tuple[Case, ...] = Field(
        (Case(), Case(gradient_mb=100.0), Case(network="perlmutter", gradient_mb=100.0)), min_length=1
    )
    """The first one is drawn beside the measurements, the last one as a map of latencies if its network is known."""
    all_reduce: Literal["ring", "tree", "eq7"] = "ring"
    node: int = Field(4, ge=1)
    """Ranks of a node, where the network does not say."""
    table_at: int = Field(128, ge=2)
    """Learners of the table of optimisations."""

    @model_validator(mode="after")
    def _known(self) -> SimulationSettings:
        if self.table_at not in self.learners:
            raise ValueError(f"table_at: {self.table_at} is not among simulation.learners")
        if 1 not in self.learners:
            raise ValueError("learners: 1 must be among them, as speed-ups refer to it")
        for case in self.cases:
            try:
                find_network(case.network)
            except ConfigError as error:
                raise ValueError(f"cases: {error}") from None
        return self


class IndexSettings(Strict):
    """The weights of Eq. 14."""

    alpha: float = Field(1 / 3, ge=0)
    """Of system efficiency."""
    beta: float = Field(1 / 3, ge=0)
    """Of convergence."""
    gamma: float = Field(1 / 3, ge=0)
    """Of robustness."""
    convergence: Literal["seconds", "frames"] = "seconds"
    """Whether convergence speeds are gains a second or a frame."""


class StudyConfig(Strict):
    """A study of a design run, as in M. Zielinski (2025)."""

    design: DesignConfig = DesignConfig.model_validate(DESIGN)
    """The run that is studied, the baseline: an asynchronous learner. The study sets its seed, learners and actors."""
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field((0, 1, 2), min_length=1)
    """Every measurement is repeated with each."""
    warm_up: float = Field(0.2, ge=0, lt=0.9)
    """Share of the frames that rates and times leave out; at least the first record of a run, in which processes
    start."""
    patience_minutes: float = Field(20.0, gt=0)
    """A run that takes longer has failed."""
    scaling: ScalingSettings = ScalingSettings()
    ablations: AblationSettings = AblationSettings()
    faults: FaultSettings = FaultSettings()
    links: LinkSettings = LinkSettings()
    simulation: SimulationSettings = SimulationSettings()
    index: IndexSettings = IndexSettings()

    @model_validator(mode="after")
    def _can_be_studied(self) -> StudyConfig:
        running = self.design.running
        if self.design.synchronous:
            raise ValueError(f"design.learner: '{self.design.learner.type}' is synchronous; take an asynchronous one")
        if running.executor != "local":
            raise ValueError("design.running.executor: studies start processes of this machine; take 'local'")
        if running.lanes is not None or running.evaluator:
            raise ValueError("design.running: lanes and evaluator must be left out; the study varies the actors")
        if self.design.learner.type == "a3c" and (
            self.ablations.learners > 1 or max(self.scaling.learners, default=1) > 1
        ):
            raise ValueError("design.learner: A3C has one learner; set ablations.learners=1 and scaling.learners=[]")
        if running.disturbance.kill or running.disturbance.stall:
            raise ValueError("design.running.disturbance: faults are the study's own; give delay and slow only")
        for name, values in (
            ("seeds", self.seeds),
            ("ablations.variants", self.ablations.variants),
            ("faults.kinds", self.faults.kinds),
            ("faults.variants", self.faults.variants),
        ):
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: one is given twice")
        if missing := set(self.faults.variants) - set(self.ablations.variants):
            raise ValueError(f"faults.variants: '{min(missing)}' is not among ablations.variants")
        return self

    @property
    def variants(self) -> tuple[Variant, ...]:
        return ("baseline", *self.ablations.variants)


QUICK: dict[str, Any] = {
    "design": {"frames": 9_216, "running": {"disturbance": {"delay": 0.15}}},
    "seeds": [0],
    "scaling": {"actors": [1, 2, 4]},
    "ablations": {"episodes": 128},
    "faults": {"actors": 2, "stall_seconds": 3.0, "checkpoint_minutes": 0.01, "variants": []},
    "links": {"ranks": [2], "repeats": 3, "most_mb": 1.0},
    "simulation": {"learners": [1, 2, 8, 32, 128], "updates": 40, "repeats": 1, "rollouts": 2048},
}
"""Where the quick study differs."""


def load_study(path: str | Path | None = None, quick: bool = False, overrides: list[str] | None = None) -> StudyConfig:
    """Defaults, changed by the quick form's, by a JSON file and by `key.subkey=value` overrides, in this order.

    Raises ConfigError naming file and key.
    """
    raw: dict[str, Any] = {"design": deepcopy(DESIGN)}
    if quick:
        raw = merged(raw, QUICK)
    if path is not None:
        given = read_json(path)
        if not isinstance(given, dict):
            raise ConfigError(
                f"'{path}' holds a {type(given).__name__}, an object with the keys of a study is expected"
            )
        raw = merged(raw, given)
    override(raw, overrides or [])
    return parse(StudyConfig, raw, path or "hydrasurr design study", overrides or [])


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the keys of `over` in their place; sections of one kind are merged, others replaced.

    Of one kind are sections with the same `type`, or without.
    """
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        alike = (
            isinstance(old, dict) and isinstance(value, dict) and old.get("type") == value.get("type", old.get("type"))
        )
        result[key] = merged(old, value) if alike else deepcopy(value)
    return result
