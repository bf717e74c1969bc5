"""A closed loop as one strict JSON file."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator

from hydrasurr.errors import ConfigError
from hydrasurr.models.config import ModelConfig
from hydrasurr.rl.loop.agent import AgentConfig
from hydrasurr.rl.loop.comparison import Wanted
from hydrasurr.rl.loop.dataset import DatasetConfig, TargetName
from hydrasurr.rl.loop.selection import SelectionConfig
from hydrasurr.rl.oracle.config import OracleConfig
from hydrasurr.rl.oracle.label import UNITS
from hydrasurr.rl.rewards.goals import Range
from hydrasurr.rl.rewards.objective import Constraint, ObjectiveConfig, Term
from hydrasurr.rl.rewards.properties import Predicted
from hydrasurr.rl.scheduling.config import SchedulingConfig
from hydrasurr.strict import Strict, override, parse, read_json
from hydrasurr.training.config import TrainingConfig

OWN = Path("the surrogate of the round")
"""Stands in an objective for the model that the loop trains."""
NEAR = 0.5
"""Tolerance of the objective that is taken if none is given, in the unit of the target."""
Part = TypeVar("Part", Term, Constraint)


class InitialConfig(Strict):
    """The molecules that the first surrogate learns from: drawn from a file and labelled, or labelled already."""

    file: Path | None = None
    """A table of molecules (CSV, TSV or .smi, also with .gz), or the name of a data set that comes with hydrasurr."""
    smiles: str = "smiles"
    """The table's column of SMILES."""
    count: int = Field(500, ge=1)
    """Molecules that are drawn from it."""
    max_heavy_atoms: int | None = Field(None, ge=1)
    """Larger ones are not drawn. null: any size."""
    dataset: Path | None = None
    """Instead: a data set with labels of the same oracle, such as `data/0.bp` of another loop."""

    @model_validator(mode="after")
    def _one_source(self) -> InitialConfig:
        if (self.file is None) == (self.dataset is None):
            raise ValueError("give either a file to draw molecules from, or a labelled dataset")
        return self


class LoopConfig(Strict):
    """A closed loop: in each round a surrogate is trained, an agent finds molecules that it thinks well of, and an
    oracle labels some of them, for the surrogate of the next round. At the end the best are verified by the oracle."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    """Name of the loop; its folder is runs/NAME unless the command line says otherwise."""
    seed: int = Field(0, ge=0)
    """Of the draw of molecules, the agent of each round and the weights of the surrogate."""
    arm: Literal["closed", "surrogate_alone"] = "closed"
    """surrogate_alone: for comparison, the agent has as many rounds, all against the first surrogate; the oracle
    labels nothing but the first data set, and at the end the best molecules."""
    rounds: int = Field(5, ge=1)
    target: TargetName = "gap"
    """What is wanted of the molecules is about this one."""
    wanted: Wanted
    objective: ObjectiveConfig | None = None
    """What the agent gets rewards for. A property of type surrogate without a `model` is that of the loop's own one.
    null: that the target is in the wanted range, and near it (0.5 eV) a little."""
    initial: InitialConfig
    oracle: OracleConfig = OracleConfig()
    dataset: DatasetConfig = DatasetConfig()
    model: ModelConfig = ModelConfig(uncertainty="gaussian")
    training: TrainingConfig = TrainingConfig()
    """Of the first surrogate. `seed` is counted from 1000 times that of the loop."""
    continued: TrainingConfig | None = None
    """Of the later ones, which go on from the one before. null: the same."""
    members: int = Field(2, gt=0)
    """Networks of the surrogate, an ensemble."""
    agent: AgentConfig = AgentConfig()
    selection: SelectionConfig = SelectionConfig()
    top_k: int = Field(100, ge=1)
    """Best molecules that are verified at the end. They have not been labelled before."""
    workers: int = Field(2, ge=1)
    """Processes of the oracle, each with one thread."""
    scheduling: SchedulingConfig = SchedulingConfig()
    """How molecules are dealt to them."""

    @field_validator("objective", mode="before")
    @classmethod
    def _own_model(cls, objective: Any) -> Any:
        return _with_own_model(objective)

    @field_validator("continued")
    @classmethod
    def _where_from(cls, continued: TrainingConfig | None) -> TrainingConfig | None:
        if continued is not None and continued.start_from is not None:
            raise ValueError("continued.start_from: later surrogates start from the one before; leave it out")
        return continued

    @model_validator(mode="after")
    def _keys_agree(self) -> LoopConfig:
        objective = self.template
        for part in (*objective.terms, *objective.constraints):
            if is_own(part) and part.property.target not in self.dataset.targets:
                raise ValueError(f"objective: '{part.property.target}' is not among dataset.targets")
        if not any(is_own(part) and part.property.target == self.target for part in objective.terms):
            raise ValueError(f"objective: no term is about '{self.target}' as the loop's surrogate predicts it")
        try:
            self.agent.design("agent", objective, self.seed)
        except ValidationError as error:
            told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise ValueError(f"agent: {told}") from error
        if self.selection.counts[1] and self.members == 1 and self.model.uncertainty == "none":
            raise ValueError(
                "selection.uncertain: the surrogate has no uncertainty; take members: 2, or model.uncertainty: gaussian"
            )
        return self

    @property
    def template(self) -> ObjectiveConfig:
        """The objective, with OWN in place of the loop's surrogate."""
        if self.objective is not None:
            return self.objective
        goal = Range(low=self.wanted.low, high=self.wanted.high, tolerance=NEAR)
        return ObjectiveConfig(terms=(Term(property=Predicted(model=OWN, target=self.target), goal=goal),))

    @property
    def column(self) -> int:
        """Of a history's properties, the prediction of the target."""
        return next(k for k, t in enumerate(self.template.terms) if is_own(t) and t.property.target == self.target)

    @property
    def unit(self) -> str:
        """Of the target."""
        return UNITS[self.target]

    def objective_with(self, model: Path) -> ObjectiveConfig:
        """The objective with a model of the loop in it."""

        def filled(part: Part) -> Part:
            if not is_own(part):
                return part
            return part.model_copy(update={"property": part.property.model_copy(update={"model": model})})

        parts = {name: tuple(map(filled, getattr(self.template, name))) for name in ("terms", "constraints")}
        return self.template.model_copy(update=parts)


def is_own(part: Term | Constraint) -> bool:
    """Whether it is about a prediction of the loop's own surrogate."""
    return isinstance(part.property, Predicted) and part.property.model == OWN


def _with_own_model(objective: Any) -> Any:
    """The raw section, in which predictions without a model get OWN."""
    if not isinstance(objective, dict):
        return objective
    objective = deepcopy(objective)
    for name in ("terms", "constraints"):
        parts = objective.get(name)
        for part in parts if isinstance(parts, list | tuple) else ():
            prediction = part.get("property") if isinstance(part, dict) else None
            if isinstance(prediction, dict) and prediction.get("type") == "surrogate":
                prediction.setdefault("model", str(OWN))
    return objective


def load_loop_config(path: str | Path, overrides: list[str] | None = None) -> LoopConfig:
    """Read a loop's JSON and apply `key.subkey=value` overrides. Raises ConfigError naming file and key."""
    raw = read_json(path)
    if not isinstance(raw, dict):
        raise ConfigError(f"'{path}' holds a {type(raw).__name__}, an object with the keys of a loop is expected")
    override(raw, overrides or [])
    return parse(LoopConfig, raw, path, overrides or [])
