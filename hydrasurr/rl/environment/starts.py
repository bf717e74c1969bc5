"""Where episodes begin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field, model_validator

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.environment.molecules import Molecules, concatenate
from hydrasurr.rl.environment.smiles import from_smiles
from hydrasurr.rl.molecule_table import read_smiles
from hydrasurr.strict import Strict


class StartConfig(Strict):
    """The molecules that episodes start from: some SMILES, or random ones of a file."""

    smiles: tuple[str, ...] = ("C",)
    """One is drawn for each episode."""
    file: Path | None = None
    """Instead: a table of molecules (CSV, TSV or .smi, also with .gz), or the name of a data set that comes with
    hydrasurr. Rows that are no molecules, or none that can be edited, are passed over."""
    column: str = "smiles"
    """The table's column of SMILES."""
    draws: int = Field(1000, ge=1)
    """Molecules that are drawn from the file once, with the seed of the run, for all episodes."""

    @model_validator(mode="after")
    def _one_source(self) -> StartConfig:
        if not self.smiles and self.file is None:
            raise ValueError("give smiles or a file to start from")
        return self


def load_starts(config: StartConfig, max_atoms: int, seed: int) -> Molecules:
    """The pool that episodes draw from.

    Raises HydrasurrError for SMILES that cannot be edited, or a file in which none can.
    """
    if config.file is None:
        return from_smiles(config.smiles, max_atoms)
    lines = read_smiles(config.file, config.column)
    order = np.random.default_rng(seed).permutation(len(lines))
    pool: list[Molecules] = []
    for k in order.tolist():
        try:
            pool.append(from_smiles([lines[k]], max_atoms))
        except HydrasurrError:
            continue
        if len(pool) == config.draws:
            break
    if not pool:
        raise HydrasurrError(
            f"no row of '{config.file}' has the SMILES of a molecule of at most {max_atoms} atoms that can be "
            "edited: one part, no radicals"
        )
    return concatenate(pool)
