"""The `model` section of a run: which network, and how large."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hydrasurr.strict import Strict

Aggregator = Literal["mean", "min", "max", "std", "sum", "var"]
Scaler = Literal["identity", "amplification", "attenuation", "linear", "inverse_linear"]


class PNAConfig(Strict):
    """Principal neighbourhood aggregation (arXiv:2004.05718)."""

    type: Literal["PNA"] = "PNA"
    aggregators: tuple[Aggregator, ...] = Field(("mean", "min", "max", "std"), min_length=1)
    scalers: tuple[Scaler, ...] = Field(("identity", "amplification", "attenuation", "linear"), min_length=1)


class GINConfig(Strict):
    """Graph isomorphism network (arXiv:1810.00826); GINE (arXiv:1905.12265) where edges have features."""

    type: Literal["GIN"]
    train_eps: bool = True
    """Learn the weight of a node's own features."""


class GraphSAGEConfig(Strict):
    """GraphSAGE (arXiv:1706.02216); takes no edge features."""

    type: Literal["GraphSAGE"]
    aggregator: Literal["mean", "max", "sum"] = "mean"


class GATv2Config(Strict):
    """Graph attention, second version (arXiv:2105.14491)."""

    type: Literal["GATv2"]
    heads: int = Field(4, gt=0)
    """Attention heads; their outputs are averaged."""


class CGCNNConfig(Strict):
    """Crystal graph convolution (doi:10.1103/PhysRevLett.120.145301)."""

    type: Literal["CGCNN"]


class MFCConfig(Strict):
    """Neural fingerprints: own weights for each degree (arXiv:1509.09292); takes no edge features."""

    type: Literal["MFC"]
    max_degree: int = Field(10, gt=0)
    """Nodes of a higher degree share the weights of this one."""


ConvConfig = Annotated[
    PNAConfig | GINConfig | GraphSAGEConfig | GATv2Config | CGCNNConfig | MFCConfig, Field(discriminator="type")
]


class HeadConfig(Strict):
    """From pooled features to values: a shared MLP for all graph-level targets, then a small MLP each."""

    shared_layers: int = Field(1, ge=0)
    shared_width: int | None = Field(None, gt=0)
    """null: the width of the network."""
    layers: int = Field(1, ge=0)
    """Hidden layers of each target's own MLP."""
    width: int | None = Field(None, gt=0)
    """null: the width of the network."""


class ModelConfig(Strict):
    """A graph neural network."""

    conv: ConvConfig = PNAConfig()
    """The message passing layer and its own options."""
    hidden: int = Field(55, gt=0)
    """Width of all layers."""
    layers: int = Field(6, gt=0)
    """Message passing layers."""
    edge_features: bool = True
    """Let bonds tell their features; of no effect in layers that cannot take them."""
    activation: Literal["relu", "silu", "gelu", "elu", "leaky_relu", "tanh"] = "relu"
    norm: Literal["batch", "layer", "none"] = "batch"
    """After each layer, before the activation."""
    residual: bool = True
    """Add each layer's input to its output."""
    dropout: float = Field(0.0, ge=0, lt=1)
    pooling: tuple[Literal["mean", "add", "max"], ...] = Field(("mean",), min_length=1)
    """From nodes to graphs; several are concatenated."""
    head: HeadConfig = HeadConfig()
    uncertainty: Literal["none", "gaussian"] = "none"
    """gaussian: every head also gives a variance, trained with the Gaussian NLL."""
