"""Data sets on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hydrasurr.graphs import GraphTable, molecule_schema
from hydrasurr.stores import create_writer
from tests.molecules import HARD
from tests.tables import make_info, molecule_table

Tables = Mapping[str, GraphTable]


@pytest.fixture(scope="session")
def molecules(real_smiles: list[str]) -> Tables:
    """Two full splits, an empty one; hard molecules, single atoms without bonds, missing targets."""
    smiles = [*real_smiles[:40], "[He]", "[Na+].[Cl-]", *HARD.values(), "[Xe]"]
    table = molecule_table(smiles)
    return {"train": table[:80], "val": table[80:80], "test": table[80:]}


@pytest.fixture(scope="session")
def write() -> Callable[..., Path]:
    """Write tables as a data set, in blocks of the given number of graphs."""

    def write(kind: str, path: Path, tables: Tables, block: int = 17, **info: object) -> Path:
        writer = create_writer(kind, path, molecule_schema())
        for split, table in tables.items():
            for start in range(0, len(table), block):
                writer.append(split, table[start : start + block])
                writer.flush()
        writer.finish(make_info(tables, **info))
        return path

    return write
