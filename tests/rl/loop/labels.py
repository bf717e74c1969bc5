"""Labels that were not calculated: any value for any molecule."""

from __future__ import annotations

from collections.abc import Mapping

from hydrasurr.rl.oracle.config import OracleConfig
from hydrasurr.rl.oracle.journal import Entry
from hydrasurr.rl.oracle.label import Label
from hydrasurr.rl.oracle.labelling import Labels

ORACLE = OracleConfig(conformers=1)


def entry(gap: float | str, **values: float) -> Entry:
    """A label with this gap, or the reason why there is none."""
    if isinstance(gap, str):
        return Entry(None, gap, 0.5, 1)
    every = {"gap": gap, "homo": -1.0, "lumo": gap - 1.0, "energy": -10.0, "dipole": 0.5} | values
    return Entry(Label(every, 3, 4, True, 0.01, {"embed": 0.1, "optimise": 0.4}), "", 0.5, 1)


def made_up(gaps: Mapping[str, float | str], oracle: OracleConfig = ORACLE) -> Labels:
    return Labels(tuple(gaps), tuple(entry(gap) for gap in gaps.values()), oracle)
