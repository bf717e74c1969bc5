"""Small force fields of every kind, and structures to try them on."""

from __future__ import annotations

import pytest
import torch

from hydrasurr.graphs.schema import ELEMENTS
from hydrasurr.models.force_field.config import ForceFieldConfig
from hydrasurr.models.force_field.network import ForceField

KINDS = ("schnet", "painn", "egnn", "pna")
NUMBERS = (6, 1, 8)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def make(kind: str, dtype: torch.dtype = torch.float64, numbers: tuple[int, ...] = NUMBERS, **options) -> ForceField:
    """A small untrained force field of which nothing is 0 that training would change."""
    torch.manual_seed(0)
    options = {"cutoff": 4.0, "width": 16, "layers": 3, "radial": {"type": "bessel", "count": 6}} | options
    references = torch.linspace(-1, 1, len(ELEMENTS), dtype=torch.float64)
    config = ForceFieldConfig.model_validate({"representation": kind} | options)
    field = ForceField(config, numbers, references, 0.7)
    with torch.no_grad():
        for parameter in field.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return field.set_dtype(dtype)
