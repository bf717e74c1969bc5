"""Records of arrays as plain tensors, for checkpoints that are loaded without running code."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

import numpy as np
import torch

Record = TypeVar("Record")


def to_tensors(record: Any) -> dict[str, Any]:
    """A dataclass of arrays, plain values and such dataclasses; arrays become tensors."""
    return {field.name: _plain(getattr(record, field.name)) for field in fields(record)}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return to_tensors(value)
    return torch.from_numpy(np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value


def from_tensors(kind: type[Record], values: dict[str, Any]) -> Record:
    """What `to_tensors` was given."""
    types = get_type_hints(kind)
    return kind(**{name: _restored(types[name], value) for name, value in values.items()})


def _restored(kind: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return from_tensors(kind, value)
    return value.numpy() if isinstance(value, torch.Tensor) else value
