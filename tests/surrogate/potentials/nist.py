"""Reference configurations of NIST; see tests/data/nist."""

from __future__ import annotations

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parents[2] / "data/nist"


def read(name: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Site names (empty where the file has none), positions `[N, 3]` and box edges `[3]`."""
    _, box, *rows = (FOLDER / name).read_text().splitlines()
    words = [row.split() for row in rows if row.split()]
    return [" ".join(w[4:]) for w in words], np.array([w[1:4] for w in words], float), np.array(box.split()[1:], float)
