"""Checkpoints: written whole or not at all, loaded without running code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from hydrasurr.errors import HydrasurrError
from hydrasurr.files import replacing


def save(state: dict[str, Any], path: Path) -> None:
    """Write `state` so that `path` is at any moment either the old or the new file."""
    with replacing(path) as temporary, temporary.open("wb") as file:  # by a name, torch would call a full disk a bug
        torch.save(state, file)


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint (tensors and plain values only). Raises HydrasurrError if it is damaged."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises RuntimeError, UnpicklingError, EOFError and others
        raise HydrasurrError(f"cannot load the checkpoint '{path}': {error}") from error
