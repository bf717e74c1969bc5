"""Oracles that workers of the tests do: quick ones, and ones that die."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from hydrasurr.rl.oracle.config import OracleConfig
from hydrasurr.rl.oracle.geometry import LabelError
from hydrasurr.rl.oracle.label import Label, XTBOracle

DEADLY, SLOW = "CCCO", "CCCN"


class CountingOracle(XTBOracle):
    """Leaves a line for each molecule that it begins; dies of the first DEADLY one."""

    def __init__(self, folder: Path, config: OracleConfig | None = None):
        super().__init__(config)
        self.folder = folder

    def __call__(self, smiles: str) -> Label:
        with (self.folder / "begun").open("a") as file:
            file.write(f"{smiles}\n")
        if smiles == DEADLY and self._first(smiles):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(smiles)

    def _first(self, smiles: str) -> bool:
        mark = self.folder / f"seen-{smiles}"
        if mark.exists():
            return False
        mark.touch()
        return True

    def begun(self) -> list[str]:
        path = self.folder / "begun"
        return path.read_text().split() if path.exists() else []


class CheapOracle(XTBOracle):
    """No calculation: the gap is the length of the SMILES; letters that are none fail."""

    def __call__(self, smiles: str) -> Label:
        if "!" in smiles:
            raise LabelError("no molecule: it shouts")
        values = {"gap": float(len(smiles)), "homo": -1.0, "lumo": float("nan"), "energy": -1.0, "dipole": 0.0}
        return Label(values, 3, 1, True, 0.01, {"embed": 0.0, "optimise": 0.0})


class SlowOracle(CheapOracle):
    """Hangs with SLOW."""

    def __call__(self, smiles: str) -> Label:
        if smiles == SLOW:
            time.sleep(600)
        return super().__call__(smiles)


class KnowsOnly(CheapOracle):
    """Gives up on all molecules but some."""

    def __init__(self, config: OracleConfig, smiles: Sequence[str]):
        super().__init__(config)
        self.smiles = frozenset(smiles)

    def __call__(self, smiles: str) -> Label:
        if smiles not in self.smiles:
            raise LabelError("no embedding: told so")
        return super().__call__(smiles)
