"""The `model` section of a run that trains a force field."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from hydrasurr.models.force_field.egnn import EGNNConfig
from hydrasurr.models.force_field.painn import PaiNNConfig
from hydrasurr.models.force_field.pna import SmoothPNAConfig
from hydrasurr.models.force_field.radial import BesselConfig, GaussianConfig
from hydrasurr.models.force_field.schnet import SchNetConfig
from hydrasurr.strict import Strict

Representation = Annotated[SchNetConfig | PaiNNConfig | EGNNConfig | SmoothPNAConfig, Field(discriminator="type")]
Radial = Annotated[BesselConfig | GaussianConfig, Field(discriminator="type")]


class ForceFieldConfig(Strict):
    """A graph neural network whose energy gives forces and virial by differentiation."""

    type: Literal["force_field"] = "force_field"
    representation: Representation = PaiNNConfig()
    """The message passing and its own options; a name alone takes the defaults."""
    cutoff: float = Field(5.0, gt=0)
    """Atoms no farther apart than this see each other, Angstrom."""
    radial: Radial = BesselConfig()
    """Functions of the distance; a name alone takes the defaults."""
    envelope: Literal["polynomial", "cosine"] = "polynomial"
    """How messages fade to the cutoff: polynomial has a continuous second derivative, cosine is the older habit."""
    width: int = Field(128, gt=0)
    """Features of an atom."""
    layers: int = Field(3, gt=0)
    """Message passing layers."""

    @property
    def title(self) -> str:
        """What to call the architecture."""
        return type(self.representation).__name__.removesuffix("Config")

    @property
    def shape(self) -> str:
        """How large it is, in words."""
        return f"{self.layers} layers × {self.width}, cutoff {self.cutoff:g} Å"

    @field_validator("representation", "radial", mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return {"type": value} if isinstance(value, str) else value
