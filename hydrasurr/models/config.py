"""The `model` section of a run: which network, and how large."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union

from pydantic import Field, field_validator

from hydrasurr.errors import did_you_mean
from hydrasurr.models.pna import PNAConfig
from hydrasurr.models.registry import LAYERS, layer_names
from hydrasurr.strict import Strict

ConvConfig = Annotated[Union[LAYERS], Field(discriminator="type")]  # noqa: UP007 (the registry is a tuple)


class HeadConfig(Strict):
    """From pooled features to values: a shared MLP for all graph-level targets, then a small MLP each."""

    shared_layers: int = Field(1, ge=0)
    """Layers of the shared MLP. Node-level targets have none."""
    shared_width: int | None = Field(None, gt=0)
    """null: the width of the network."""
    layers: int = Field(1, ge=0)
    """Hidden layers of each target's own MLP."""
    width: int | None = Field(None, gt=0)
    """null: the width of the network."""


class ModelConfig(Strict):
    """A graph neural network."""

    conv: ConvConfig = PNAConfig()
    """The message passing layer and its own options; a name alone takes the defaults."""
    hidden: int = Field(55, gt=0)
    """Width of all layers."""
    layers: int = Field(6, gt=0)
    """Message passing layers."""
    edge_features: bool = True
    """Let bonds tell their features; of no effect in layers that cannot take them."""
    activation: Literal["relu", "silu", "gelu", "elu", "leaky_relu", "tanh"] = "relu"
    """The nonlinearity after each layer and in the heads."""
    norm: Literal["batch", "layer", "none"] = "batch"
    """After each layer, before the activation."""
    residual: bool = True
    """Add each layer's input to its output."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Part of a layer's outputs set to zero in training, after the activation."""
    pooling: tuple[Literal["mean", "add", "max"], ...] = Field(("mean",), min_length=1)
    """From nodes to graphs; several are concatenated."""
    head: HeadConfig = HeadConfig()
    """From features to values."""
    uncertainty: Literal["none", "gaussian"] = "none"
    """gaussian: every head also gives a variance, trained with the Gaussian NLL."""

    @property
    def title(self) -> str:
        """What to call the architecture."""
        return self.conv.type

    @property
    def shape(self) -> str:
        """How large it is, in words."""
        return f"{self.layers} layers × {self.hidden}"

    @field_validator("conv", mode="before")
    @classmethod
    def _known_layer(cls, value: Any) -> Any:
        value = {"type": value} if isinstance(value, str) else value
        if isinstance(value, dict):
            if "type" not in value:
                raise ValueError(f"needs a key 'type', one of {', '.join(layer_names())}")
            if value["type"] not in layer_names():
                raise ValueError(f"no layer '{value['type']}'{did_you_mean(str(value['type']), layer_names())}")
        return value
