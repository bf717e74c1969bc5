"""Records of arrays as plain tensors, for checkpoints that are loaded without running code."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

import numpy as np
import torch

Record = TypeVar("Record")


def to_tensors(record: Any) -> dict[str, Any]:
    """A dataclass of arrays, and of such dataclasses, as tensors by name."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {name: to_tensors(x) if is_dataclass(x) else torch.from_numpy(np.ascontiguousarray(x)) for name, x in values.items()}


def from_tensors(kind: type[Record], tensors: dict[str, Any]) -> Record:
    """What `to_tensors` was given."""
    types = get_type_hints(kind)
    parts = {
        name: from_tensors(types[name], value) if isinstance(value, dict) else value.numpy()
        for name, value in tensors.items()
    }
    return kind(**parts)
