"""Files that come with hydrasurr: data cards and run configurations."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from hydrasurr.errors import ConfigError, did_you_mean

_ROOTS = (Path(__file__).resolve().parents[1], Path(sys.prefix) / "share" / "hydrasurr")
"""A source tree, or where the wheel puts its data files."""
_PATTERNS = {"datasets": "*/card.json", "run_configs": "*.json"}
Kind = Literal["datasets", "run_configs"]


def shipped(kind: Kind) -> dict[str, Path]:
    """Name -> path of the shipped cards (named by their folder) or run configurations."""
    folder = next((root / kind for root in _ROOTS if (root / kind).is_dir()), None)
    files = sorted(folder.glob(_PATTERNS[kind])) if folder else []
    return {file.parent.name if kind == "datasets" else file.stem: file for file in files}


def find(kind: Kind, name: str | Path) -> Path:
    """The file at a path, or the shipped one of that name. Raises ConfigError if there is neither."""
    path, known = Path(name), shipped(kind)
    if path.is_file():
        return path
    if kind == "datasets" and (path / "card.json").is_file():
        return path / "card.json"
    if str(name) in known:
        return known[str(name)]
    hint = did_you_mean(str(name), known)
    raise ConfigError(f"no file '{path}', and none of the {kind} that come with hydrasurr is called so{hint}")
