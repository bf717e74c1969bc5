"""A trained agent as one file: safetensors with a JSON header; loading runs no code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hydrasurr.errors import HydrasurrError
from hydrasurr.files import replacing
from hydrasurr.rl.policy.network import ActionNetwork

KEY = "hydrasurr.policy"


def save_policy(path: Path, network: ActionNetwork, config: dict[str, Any]) -> None:
    """Write the weights, with the configuration of the run that they are of; `path` is the old or the new file."""
    tensors = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    with replacing(path) as temporary:
        save_file(tensors, temporary, {KEY: json.dumps(config)})


def read_policy(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and configuration. Raises HydrasurrError if it is no such file."""
    try:
        with safe_open(path, "pt") as file:
            config = json.loads((file.metadata() or {})[KEY])
            return {name: file.get_tensor(name) for name in file.keys()}, config  # noqa: SIM118 - it is no dict
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise HydrasurrError(f"'{path}' is not a trained agent ({error}); a policy.safetensors is expected") from error
