"""A card for a table that has none yet."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from hydrasurr.errors import ConfigError
from hydrasurr.strict import parse
from preprocessing.card import Card
from preprocessing.rows import read_chunks


def draft_card(table: Path, smiles: str, targets: list[str], out: Path) -> Card:
    """Write a card for `table` to `out`. Targets are given as `COLUMN` or `COLUMN:UNIT`.

    Raises ConfigError if `out` exists, or the table lacks one of the columns.
    """
    if out.exists():
        raise ConfigError(f"'{out}' exists; choose another --out")
    if not table.is_file():
        raise ConfigError(f"no file '{table}'")
    raw = {
        "name": re.sub(r"[^A-Za-z0-9._-]+", "_", table.name.split(".")[0]).lstrip("._-") or "table",
        "description": "",
        "files": [os.path.relpath(table.resolve(), out.resolve().parent)],
        "smiles": smiles,
        "targets": [_target(text) for text in targets],
        "split": {"rule": "random", "seed": 0, "fractions": [0.94, 0.02, 0.04]},
        "licence": "",
        "source": "",
    }
    card = parse(Card, raw, out)
    here = card.model_copy(update={"files": (str(table),)})
    next(read_chunks(here, 1), None)  # complains of missing columns
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(raw, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return card


def _target(text: str) -> dict[str, str]:
    column, _, unit = text.partition(":")
    name = re.sub(r"\s+", "_", column.strip())
    return {"name": name, "column": column, "unit": unit}
