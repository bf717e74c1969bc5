"""What a design run ends with: the best molecules, and how good the search was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from hydrasurr.files import read_records, write_text
from hydrasurr.rl.rewards.evaluator import Column
from hydrasurr.rl.rewards.history import History
from hydrasurr.rl.rewards.scores import top_auc
from hydrasurr.rl.running.config import DesignConfig
from hydrasurr.rl.running.folder import DesignFolder


def write_results(
    config: DesignConfig, folder: DesignFolder, history: History, columns: Sequence[Column]
) -> dict[str, Any]:
    """Write molecules.csv and results.json, and return what is in the latter."""
    folder.write_molecules(history, columns)
    results = results_of(config, history, columns, read_records(folder.metrics))
    write_text(folder.results, json.dumps(results, indent=2) + "\n")
    return results


def results_of(
    config: DesignConfig, history: History, columns: Sequence[Column], records: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """What results.json holds, of the molecules and the records so far."""
    values = history.worth.value
    best = history.top(config.top)
    return {
        "molecules": len(history),
        "best": float(best.worth.value[0]) if len(best) else None,
        f"top_{config.top_k}_mean": float(best.worth.value[: config.top_k].mean()) if len(best) else None,
        f"top_{config.top_k}_auc": top_auc(values, config.top_k, config.budget or max(len(history), 1)),
        "frames": records[-1]["total_frames"] if records else 0,
        "seconds": records[-1]["total_seconds"] if records else 0.0,
        "objective": _last_mean([record["objective"] for record in records]),
        "columns": [column._asdict() for column in columns],
        "top": [
            {"smiles": text, "worth": float(value), "properties": _numbers(properties), "std": _numbers(std)}
            for text, value, properties, std in zip(
                best.smiles, best.worth.value, best.worth.properties, best.worth.std, strict=True
            )
        ],
    }


def _last_mean(values: list[float | None], part: float = 0.1) -> float | None:
    """Over the last tenth of the records that have one."""
    known = [value for value in values if value is not None]
    return float(np.mean(known[-max(round(part * len(known)), 1) :])) if known else None


def _numbers(row: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in row]
