"""The base of all configuration sections."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Unknown keys are errors; a validated section does not change; defaults are checked like given values."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
