"""One run as one strict JSON file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from hydrasurr.errors import ConfigError, did_you_mean
from hydrasurr.models.config import ModelConfig
from hydrasurr.models.force_field.config import ForceFieldConfig
from hydrasurr.strict import Strict, override, parse, read_json


class TargetConfig(Strict):
    """A property to learn."""

    name: str
    """A target of the data set."""
    weight: float = Field(1.0, gt=0)
    """Its weight in the loss, relative to the other targets."""


class DataConfig(Strict):
    """What to learn from."""

    dataset: str
    """Path of a data set made by hydrasurr-preprocess; relative to the folder the command runs in."""
    targets: tuple[TargetConfig, ...] | None = None
    """Targets to learn, as names or {name, weight}; null: all of the data set."""
    mode: Literal["auto", "memory", "blocks", "store"] = "auto"
    """memory: the training split is read once, one copy a node; blocks: read block by block with a shuffle
    buffer; store: every batch straight from the store; auto: memory if it fits memory_budget_gb, else blocks
    (for pickled and CSV stores: store)."""
    memory_budget_gb: float = Field(8.0, gt=0)
    """Largest training split, in GB a node, that auto keeps in memory."""
    buffer_graphs: int = Field(65_536, gt=0)
    """Graphs shuffled together in blocks mode."""
    prefetch: int = Field(2, ge=0)
    """Batches prepared in advance by a thread."""

    @field_validator("targets", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [{"name": item} if isinstance(item, str) else item for item in value]
        return value


class OptimizerConfig(Strict):
    """How parameters move."""

    type: Literal["AdamW", "Adam", "SGD", "LAMB", "LARS"] = "AdamW"
    """LAMB and LARS scale each layer's step to its weights: for large batches."""
    lr: float = Field(1e-3, gt=0)
    """Peak learning rate."""
    weight_decay: float = Field(0.01, ge=0)
    """Decay of weight matrices; biases and norms are not decayed."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Of SGD and LARS."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Of AdamW, Adam and LAMB."""


class ScheduleConfig(Strict):
    """How the learning rate changes over the run."""

    type: Literal["constant", "cosine", "one_cycle", "plateau"] = "cosine"
    """cosine: falls to `final` after the warm-up; one_cycle: rises and falls along cosines, with `warmup` as the
    rising part; plateau: multiplied by `factor` when the validation loss has not improved for `patience`
    evaluations."""
    warmup: float = Field(0.05, ge=0, lt=1)
    """Part of the run in which the learning rate rises from near zero to its peak."""
    final: float = Field(1e-3, ge=0, le=1)
    """Last learning rate of cosine and one_cycle, as a part of the peak; the least one of plateau."""
    factor: float = Field(0.5, gt=0, lt=1)
    patience: int = Field(5, ge=0)


class CommunicationConfig(Strict):
    """How several ranks average their gradients."""

    compression: Literal["none", "fp16", "bf16", "int8", "powersgd"] = "none"
    """What ranks send. fp16, bf16: gradients rounded to 16 bits, half the bytes of fp32; bf16 rounds more coarsely, but
    has no smallest or largest number to mind. int8: a quarter of the bytes, rounded up or down at random so that the
    mean is right; as each rank gets those of all others, for up to about 8 ranks, or 8 nodes when `hierarchical`.
    powersgd (Vogels et al. 2019, arXiv:1905.13727): two thin factors in place of each large enough matrix; what they
    miss is added to the next gradient of the rank."""
    int8_error_feedback: bool = False
    """Add what int8 changes by rounding to the next gradient of the rank."""
    powersgd_rank: int = Field(4, gt=0)
    """Columns of the factors of powersgd; more are more exact and more bytes."""
    powersgd_start: int = Field(1000, ge=0)
    """Steps of the optimizer before powersgd begins; until then gradients are sent whole."""
    hierarchical: bool = False
    """Sum the gradients of each node on one of its ranks, then over the nodes, so that one rank a node uses the
    network. For Gloo and slow networks; NCCL does the like by itself."""
    ranks_per_node: int | None = Field(None, gt=0)
    """Consecutive ranks that count as a node when `hierarchical`; null: the ranks of one machine."""
    overlap: bool | None = None
    """true: average gradients in buckets, each while the backward pass goes on; false: all at once at its end. null:
    true on GPUs, and false on CPUs, where averaging takes the cores from the backward pass."""
    bucket_mb: float | None = Field(None, gt=0)
    """Size of a bucket in MiB; null: that of torch, 25 MiB with a first one of 1 MiB."""

    @model_validator(mode="after")
    def _keys_agree(self) -> CommunicationConfig:
        if self.ranks_per_node is not None and not self.hierarchical:
            raise ValueError("ranks_per_node is set, but only hierarchical communication knows nodes; set hierarchical")
        if self.int8_error_feedback and self.compression != "int8":
            raise ValueError(
                f"int8_error_feedback is set, but compression is '{self.compression}'; leave it out or set 'int8'"
            )
        if self.bucket_mb is not None and self.overlap is False:
            raise ValueError("bucket_mb is set, but without overlap there is one bucket; leave it out or set overlap")
        return self


class LossWeights(Strict):
    """How much each kind of label of a force field counts, relative to the others; 0: it is told of, not learnt."""

    energy: float = Field(1.0, ge=0)
    """Of errors of the energy per atom, in eV."""
    forces: float = Field(10.0, ge=0)
    """Of errors of force components, in eV/Å."""
    stress: float = Field(100.0, ge=0)
    """Of errors of stress components, in eV/Å³; of effect where the data set has stresses."""

    @model_validator(mode="after")
    def _some(self) -> LossWeights:
        if not self.energy + self.forces:
            raise ValueError("energy and forces are both 0; give one of them a weight")
        return self


class TrainingConfig(Strict):
    """How to learn."""

    epochs: int = Field(100, gt=0)
    batch_size: int = Field(128, gt=0)
    """Graphs a batch and rank; the optimizer sees batch_size x ranks x accumulate."""
    accumulate: int = Field(1, gt=0)
    """Batches whose gradients are added up before a step of the optimizer."""
    seed: int = Field(0, ge=0)
    """Fixes the initial weights, the order of the data and dropout."""
    start_from: Path | None = None
    """A finished run's folder, or an exported model, to go on from: with its weights, and the mean and standard
    deviation that its targets are measured in, each member from its counterpart. null: random weights."""
    loss: Literal["mae", "mse", "huber"] = "mae"
    """Of standardised targets; with model.uncertainty 'gaussian' the Gaussian NLL is used instead."""
    loss_weights: LossWeights = LossWeights()
    """Of force fields; targets of molecules have their weights in data.targets."""
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    clip_norm: float | None = Field(10.0, gt=0)
    """Largest norm of the gradient; longer ones are shortened to it. null: off."""
    ema_decay: float | None = Field(None, gt=0, lt=1)
    """Evaluate and keep an exponential moving average of the weights. null: off."""
    precision: Literal["fp32", "bf16", "fp64"] = "fp32"
    """bf16: forward and backward under autocast, weights in fp32."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(1, gt=0)
    """CPU threads of torch a rank. Graphs are small: ranks (torchrun) use cores far better than threads do, and with
    one thread the last digits do not depend on the machine."""
    compile: bool = False
    """Of a force field: compile what gives energies and forces. A step takes less than half the time, the start some
    minutes more; needs a C++ compiler. Results are the same but for rounding."""
    communication: CommunicationConfig = CommunicationConfig()
    evaluate_every: int = Field(1, gt=0)
    """Epochs between evaluations on the validation split."""
    early_stopping: int | None = Field(None, gt=0)
    """Stop after this many evaluations without a better validation loss. null: off."""
    checkpoint_minutes: float = Field(10.0, gt=0)
    """Minutes between checkpoints within an epoch; there is one after each evaluation anyway."""


FORCE_FIELD = "force_field"


def _kind_of_model(model: Any) -> str:
    """A `model` section without a type is a network for properties of molecules."""
    typed = isinstance(model, ForceFieldConfig) or (isinstance(model, dict) and "type" in model)
    return FORCE_FIELD if typed else "property"


AnyModel = Annotated[
    Annotated[ModelConfig, Tag("property")] | Annotated[ForceFieldConfig, Tag(FORCE_FIELD)],
    Discriminator(_kind_of_model),
]


class RunConfig(Strict):
    """A training run."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    """Name of the run; its folder is runs/NAME unless the command line says otherwise."""
    data: DataConfig
    model: AnyModel = ModelConfig()
    """With `"type": "force_field"` a force field, which learns energies, forces and stresses of structures."""
    training: TrainingConfig = TrainingConfig()
    members: int = Field(1, gt=0)
    """Networks of a deep ensemble, trained one after another from seeds seed, seed + 1, ..."""

    @field_validator("model", mode="before")
    @classmethod
    def _known_type(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("type", FORCE_FIELD) != FORCE_FIELD:
            hint = did_you_mean(str(value["type"]), [FORCE_FIELD])
            raise ValueError(f"no type '{value['type']}'{hint} Leave it out for properties of molecules")
        return value

    @model_validator(mode="after")
    def _keys_fit_the_model(self) -> RunConfig:
        if not self.is_force_field:
            if self.training.compile:
                raise ValueError("training.compile is for force fields; leave it out for properties of molecules")
            if self.training.loss_weights != LossWeights():
                raise ValueError(
                    "training.loss_weights are those of a force field; targets of molecules have theirs in data.targets"
                )
            return self
        if self.data.targets is not None:
            raise ValueError(
                "data.targets are properties of molecules; a force field learns what has training.loss_weights"
            )
        if self.training.precision == "bf16":
            raise ValueError(
                "training.precision is 'bf16', whose three digits are too few for forces by differentiation; use fp32"
            )
        return self

    @property
    def is_force_field(self) -> bool:
        return isinstance(self.model, ForceFieldConfig)


def load_run_config(path: str | Path, overrides: list[str] | None = None) -> RunConfig:
    """Read a run's JSON and apply `key.subkey=value` overrides. Raises ConfigError naming file and key."""
    raw = read_json(path)
    if not isinstance(raw, dict):
        raise ConfigError(f"'{path}' holds a {type(raw).__name__}, an object with the keys of a run is expected")
    override(raw, overrides or [])
    return parse(RunConfig, raw, path, overrides or [])
