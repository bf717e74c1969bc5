"""Molecules to begin with, and a finished loop that tests look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.rl.loop.agents import Walker
from tests.rl.loop.loops import configure, run

MOLECULES = Path(__file__).resolve().parents[3] / "datasets/qm9_gap_5k/qm9_gap_5k.csv"


@pytest.fixture(scope="package")
def smiles_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 molecules, a line that is none, and one that is twice."""
    lines = [line.split(",")[1] for line in MOLECULES.read_text().splitlines()[1:151]]
    path = tmp_path_factory.mktemp("smiles") / "molecules.smi"
    path.write_text("\n".join([*lines, "nonsense x", lines[0]]) + "\n")
    return path


@pytest.fixture(scope="package")
def closed(smiles_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], Walker]:
    path = tmp_path_factory.mktemp("closed") / "loop"
    return path, *run(configure(smiles_file), path)
