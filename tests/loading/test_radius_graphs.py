"""Structures in the loaders: edges found on load or taken from the store, in every mode, on any number of ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hydrasurr.errors import ConfigError
from hydrasurr.graphs import GraphTable
from hydrasurr.graphs.structures import structure_schema, with_radius_graph
from hydrasurr.loading import AtomsBatch, BatchLoader, RadiusGraphs, Share, evaluation_batches
from hydrasurr.loading.loader import MODES
from hydrasurr.stores import SPLITS, GraphStore, create_writer, open_store
from tests.structures import edges_of, ethanols, labelled_table, silicons, structure_info
from tests.tables import make_info

LABELS = ("y", "force", "stress", "row")
BLOCK, CUTOFF = 7, 3.5
STORED = {"bare": None, "exact": CUTOFF, "longer": 4.5}
"""Data sets and the cutoff of their edges."""


@pytest.fixture(scope="module")
def structures() -> dict[str, GraphTable]:
    table = labelled_table([*ethanols()[:20], *silicons()[::5], *ethanols()[20:37]])
    return dict(zip(SPLITS, (table[:31], table[31:37], table[37:]), strict=True))


@pytest.fixture(scope="module")
def stores(structures: Mapping[str, GraphTable], tmp_path_factory: pytest.TempPathFactory) -> dict[str, GraphStore]:
    folder: Path = tmp_path_factory.mktemp("structures")
    for name, stored in STORED.items():
        tables = {s: _as_stored(table, stored) for s, table in structures.items()}
        writer = create_writer("bp", folder / name, structure_schema())
        for split, table in tables.items():
            for start in range(0, len(table), BLOCK):
                writer.append(split, table[start : start + BLOCK])
        writer.finish(structure_info(tables, stored))
    return {name: open_store(folder / name) for name in STORED}


def _as_stored(table: GraphTable, cutoff: float | None) -> GraphTable:
    table = table if cutoff is None else with_radius_graph(table, cutoff)
    return replace(table, edge_index=table.edge_index.astype(np.uint16))


def loader(store: GraphStore, share: Share | None = None, batch_size: int = 4, **options: object) -> BatchLoader:
    graphs = RadiusGraphs.of(store.info, CUTOFF)
    options = {"seed": 3, "buffer_graphs": 10, "prepare": graphs.prepare, "collate": graphs.collate, **options}
    return BatchLoader(store["train"], [*graphs.columns, *LABELS], batch_size, share, **options)


def assert_equal(first: AtomsBatch, second: AtomsBatch) -> None:
    """Edges with the same ends may stand in another order."""
    for name in ("numbers", "positions", "cell", "pbc", "system_index", "edge_index", "energy", "forces", "stress"):
        torch.testing.assert_close(getattr(first, name), getattr(second, name), rtol=0, atol=0, equal_nan=True)
    shifts = [
        np.column_stack([batch.edge_index.T, batch.shift_vector.round(decimals=6) + 0.0]) for batch in (first, second)
    ]
    np.testing.assert_allclose(*(rows[np.lexsort(rows.T)] for rows in shifts), atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", STORED)
def test_batches_are_those_of_the_structures(
    stores: Mapping[str, GraphStore], structures: Mapping[str, GraphTable], name: str, mode: str
) -> None:
    train, seen = structures["train"], []
    ours = loader(stores[name], mode=mode)
    for batch, table in zip(ours.epoch(1), ours.tables(1), strict=True):
        rows = (table.columns["row"] - 100).tolist()
        assert_equal(batch, AtomsBatch.from_table(train.gather(rows), CUTOFF))
        seen += rows
    assert sorted(seen) == list(range(31))


@pytest.mark.parametrize("mode", MODES)
def test_going_on_in_an_epoch_gives_the_same_batches(stores: Mapping[str, GraphStore], mode: str) -> None:
    whole = list(loader(stores["bare"], mode=mode).epoch(2))
    rest = list(loader(stores["bare"], mode=mode).epoch(2, first_step=3))
    assert len(rest) == len(whole) - 3
    for first, second in zip(rest, whole[3:], strict=True):
        assert_equal(first, second)


def test_two_ranks_see_what_one_would(stores: Mapping[str, GraphStore]) -> None:
    alone = list(loader(stores["bare"], batch_size=6).epoch(0))
    pairs = zip(*(loader(stores["bare"], Share(rank, 2), 3).epoch(0) for rank in range(2)), strict=True)
    for one, two in zip(alone, pairs, strict=False):
        energies = torch.cat([batch.energy for batch in two])
        assert len(energies) in (6, len(one.energy) // 2 * 2)
        if len(energies) == 6:
            assert sorted(energies.tolist()) == sorted(one.energy.tolist())
        assert {float(e) for e in energies} <= {float(e) for e in one.energy}


@pytest.mark.parametrize("name", STORED)
def test_evaluation_sees_each_structure_once(
    stores: Mapping[str, GraphStore], structures: Mapping[str, GraphTable], name: str
) -> None:
    graphs = RadiusGraphs.of(stores[name].info, CUTOFF)
    options = {"prepare": graphs.prepare, "collate": graphs.collate}
    columns = [*graphs.columns, *LABELS]
    batches = [
        batch
        for rank in range(2)
        for batch in evaluation_batches(stores[name]["train"], columns, 4, Share(rank, 2), **options)
    ]
    assert [len(batch.energy) for batch in batches] == [4] * 7 + [3]
    for k, batch in enumerate(batches):
        assert_equal(batch, AtomsBatch.from_table(structures["train"][4 * k : 4 * k + 4], CUTOFF))


def test_in_memory_edges_are_found_once(stores: Mapping[str, GraphStore]) -> None:
    graphs, calls = RadiusGraphs.of(stores["bare"].info, CUTOFF), []

    def prepare(table: GraphTable) -> GraphTable:
        calls.append(len(table))
        return graphs.prepare(table)

    ours = loader(stores["bare"], prepare=prepare)
    for epoch in range(3):
        assert sum(batch.num_edges for batch in ours.epoch(epoch)) > 0
    assert calls == [31]


def test_stored_edges_are_used(stores: Mapping[str, GraphStore], structures: Mapping[str, GraphTable]) -> None:
    split = stores["longer"]["val"]
    graphs = RadiusGraphs.of(stores["longer"].info, CUTOFF)
    prepared = graphs.prepare(split.read(0, len(split), graphs.columns))
    expected = with_radius_graph(structures["val"], CUTOFF)
    np.testing.assert_allclose(edges_of(prepared), edges_of(expected), atol=1e-9)
    exact = RadiusGraphs.of(stores["exact"].info, CUTOFF)
    table = stores["exact"]["val"].read(0, 3, exact.columns)
    assert exact.prepare(table) is table


def test_edges_that_are_too_short_are_an_error(stores: Mapping[str, GraphStore]) -> None:
    with pytest.raises(ConfigError, match=r"cutoff of 3\.5 A, too short for the model's 5\.0 A: preprocess"):
        RadiusGraphs.of(stores["exact"].info, 5.0)


def test_molecules_are_no_structures() -> None:
    info = make_info({split: labelled_table(ethanols()[:1]) for split in SPLITS})
    with pytest.raises(ConfigError, match="has molecules without positions"):
        RadiusGraphs.of(info, 5.0)
