"""Small design runs for tests, in this process and in others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from hydrasurr.files import read_records
from hydrasurr.rl.running.config import DesignConfig
from hydrasurr.rl.running.folder import DesignFolder
from hydrasurr.rl.running.run import run

BASE: dict[str, Any] = {
    "name": "tiny",
    "environment": {"rules": {"elements": ["C", "O"], "max_atoms": 6}, "max_steps": 5, "reward": "dense"},
    "model": {"hidden": 12, "layers": 2},
    "learner": {"type": "ppo", "steps": 6, "epochs": 2, "minibatches": 2},
    "running": {"actors": 2, "lanes": 2, "molecules": 8, "device": "cpu"},
    "frames": 6 * 8 * 2 * 4,
}
LEARNERS: dict[str, dict[str, Any]] = {
    "ppo": BASE["learner"],
    "impala": {"type": "impala", "steps": 6, "unrolls": 2},
    "a3c": {"type": "a3c", "steps": 6},
    "apex": {"type": "apex", "steps": 6, "warm_up": 90, "batch_size": 32, "capacity": 1000, "target_every": 5},
    "random": {"type": "random", "steps": 6},
}


def raw(**sections: Any) -> dict[str, Any]:
    """Sections are merged over those of BASE, but for `learner`, which is taken as it is."""
    merged = dict(BASE)
    for name, values in sections.items():
        whole = name == "learner" or not isinstance(values, Mapping) or name not in BASE
        merged[name] = values if whole else {**BASE[name], **values}
    return merged


def design(path: Path, resume: bool = False, **sections: Any) -> DesignFolder:
    """Run in this process; the folder of the finished run."""
    folder = DesignFolder(path)
    assert run(DesignConfig.model_validate(raw(**sections)), folder, resume=resume)
    return folder


def write(path: Path, **sections: Any) -> Path:
    path.write_text(json.dumps(raw(**sections)))
    return path


def learnt(folder: DesignFolder) -> list[dict[str, Any]]:
    """Records without what depends on time or on who did what."""
    names = ("update", "total_frames", "updates", "frames", "rollouts", "episodes", "evaluations", "best")
    kept = (*names, "objective", "objective_std", "length", "loss")
    return [{name: record[name] for name in kept} for record in read_records(folder.metrics)]


def assert_same(one: DesignFolder, other: DesignFolder) -> None:
    """Bit for bit: weights, and what was recorded on the way."""
    a, b = load_file(one.policy), load_file(other.policy)
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name
    assert learnt(one) == learnt(other)
