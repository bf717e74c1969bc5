"""Small loops with a quick oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydrasurr.rl.loop.config import LoopConfig
from hydrasurr.rl.loop.loop import Loop
from tests.rl.loop.agents import Walker
from tests.rl.oracle.oracles import CheapOracle


def configure(smiles_file: Path, **changes: Any) -> dict[str, Any]:
    """A small loop in which CheapOracle's gap, the length of the SMILES, shall be 6 or 7."""
    return {
        "name": "tiny",
        "wanted": {"low": 5.5, "high": 7.5},
        "rounds": 2,
        "initial": {"file": str(smiles_file), "count": 60},
        "oracle": {"conformers": 1, "fmax": 0.2},
        "dataset": {"fractions": [0.7, 0.15, 0.15]},
        "model": {"hidden": 8, "layers": 2, "uncertainty": "gaussian"},
        "training": {"epochs": 4, "batch_size": 16, "optimizer": {"lr": 0.01}},
        "continued": {"epochs": 2, "batch_size": 16, "optimizer": {"lr": 0.003}},
        "selection": {"count": 12},
        "top_k": 10,
        "workers": 1,
    } | changes


def run(config: dict[str, Any], path: Path, **options: Any) -> tuple[dict[str, Any], Walker]:
    parsed = LoopConfig.model_validate(config)
    agent = Walker(parsed)
    oracle = options.pop("oracle", CheapOracle(parsed.oracle))
    return Loop(parsed, path, agent, oracle=oracle, visible=False, **options).run(), agent


def untimed(results: Any) -> Any:
    """Without what differs from one run to the next: times, and loads of workers."""
    if isinstance(results, dict):
        gone = ("stage_seconds", "worker_seconds", "load")
        return {key: untimed(value) for key, value in results.items() if key not in gone}
    return [untimed(value) for value in results] if isinstance(results, list) else results
