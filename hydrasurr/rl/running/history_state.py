"""Histories of rewards as tensors, for checkpoints."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from hydrasurr.rl.policy.tensors import from_tensors, to_tensors
from hydrasurr.rl.rewards.history import History, Worth


def history_state(history: History, count: int) -> dict[str, Any]:
    """The first `count` molecules of a history."""
    text = "\n".join(history.smiles[:count]).encode()
    return {
        "smiles": torch.from_numpy(np.frombuffer(text, np.uint8).copy()),
        "count": count,
        "worth": to_tensors(history.worth[:count]),
    }


def history_from(state: dict[str, Any]) -> History:
    """What `history_state` was given."""
    lines = state["smiles"].numpy().tobytes().decode().split("\n")
    return History(tuple(lines if state["count"] else ()), from_tensors(Worth, state["worth"]))
