"""One data set in all kinds of stores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from hydrasurr.graphs import GraphTable
from hydrasurr.stores import KINDS, SPLITS, GraphStore, create_writer, open_store
from tests.molecules import HARD
from tests.tables import make_info, molecule_table

BLOCK = 30


@pytest.fixture(scope="session")
def molecules(real_smiles: list[str]) -> Mapping[str, GraphTable]:
    table = molecule_table([*real_smiles[:200], *HARD.values()])
    return dict(zip(SPLITS, (table[:211], table[211:230], table[230:]), strict=True))


@pytest.fixture(scope="session")
def stores(molecules: Mapping[str, GraphTable], tmp_path_factory: pytest.TempPathFactory) -> dict[str, GraphStore]:
    """Kind -> store; 211 graphs to train with, in blocks of 30."""
    folder: Path = tmp_path_factory.mktemp("stores")
    for kind in KINDS:
        writer = create_writer(kind, folder / kind)
        for split, table in molecules.items():
            for start in range(0, len(table), BLOCK):
                writer.append(split, table[start : start + BLOCK])
        writer.finish(make_info(molecules))
    return {kind: open_store(folder / kind) for kind in KINDS}
