"""Batches of a split: the right graphs in every mode, from every store, on any number of ranks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from hydrasurr.errors import StoreError
from hydrasurr.graphs import GraphTable
from hydrasurr.loading import BatchLoader, GraphBatch, Share, evaluation_batches
from hydrasurr.loading.loader import MODES
from hydrasurr.stores import KINDS, GraphStore, create_writer, open_store
from hydrasurr.stores.base import Split
from tests.tables import assert_same_table, atom_table, make_info

COLUMNS = ("x", "edge_attr", "y", "row")
Stores = Mapping[str, GraphStore]
Molecules = Mapping[str, GraphTable]
ALL = [("bp", "memory"), ("bp", "blocks"), ("bp", "store"), ("pickle", "store"), ("csv", "store"), ("csv", "memory")]


def loader(split: Split, batch_size: int = 20, share: Share | None = None, **options: object) -> BatchLoader:
    return BatchLoader(split, COLUMNS, batch_size, share, **{"seed": 5, "buffer_graphs": 70, **options})


def rows_of(tables: Iterator[GraphTable]) -> list[list[int]]:
    return [table.columns["row"].tolist() for table in tables]


# -- training ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world_size", [1, 2, 3, 300])
@pytest.mark.parametrize("kind, mode", [*ALL, ("pickle", "blocks"), ("csv", "blocks")])
def test_batches_hold_the_graphs(
    stores: Stores, molecules: Molecules, kind: str, mode: str, world_size: int
) -> None:
    train = molecules["train"]
    place = {row: index for index, row in enumerate(train.columns["row"].tolist())}
    seen = []
    ranks = range(world_size) if world_size < 10 else (0, 299)
    for rank in ranks:
        ours = loader(stores[kind]["train"], share=Share(rank, world_size), mode=mode)
        tables = list(ours.tables(2))
        assert len(tables) == len(ours) == -(-(211 // world_size) // 20)
        assert all(len(table) == 20 for table in tables[:-1])
        for table in tables:
            rows = table.columns["row"].tolist()
            expected = train.select(COLUMNS).gather([place[row] for row in rows])
            assert_same_table(table, expected)
            seen += rows
    assert len(seen) == len(set(seen)) == 211 // world_size * len(ranks)


@pytest.mark.parametrize("world_size", [1, 3])
def test_all_stores_give_the_same_batches(stores: Stores, world_size: int) -> None:
    for rank in range(world_size):
        share = Share(rank, world_size)
        batches = {
            (kind, mode): list(loader(stores[kind]["train"], share=share, mode=mode).tables(7))
            for kind in KINDS
            for mode in ("store", "memory")
        }
        expected = batches.pop(("bp", "memory"))
        for found in batches.values():
            for table, other in zip(found, expected, strict=True):
                assert_same_table(table, other)


@pytest.mark.parametrize("mode", MODES)
def test_epochs_and_seeds_differ_and_repeat(stores: Stores, mode: str) -> None:
    split = stores["bp"]["train"]
    orders = [rows_of(loader(split, mode=mode, seed=seed).tables(epoch)) for seed in (0, 1) for epoch in (0, 1)]
    assert len({str(order) for order in orders}) == 4
    assert rows_of(loader(split, mode=mode, seed=1).tables(0)) == orders[2]
    flat = [row for batch in orders[0] for row in batch]
    assert flat != sorted(flat)


@pytest.mark.parametrize("first_step", [0, 1, 5, 10, 11])
@pytest.mark.parametrize("kind, mode", ALL)
def test_resume_in_the_middle_of_an_epoch(stores: Stores, kind: str, mode: str, first_step: int) -> None:
    ours = loader(stores[kind]["train"], mode=mode)
    assert rows_of(ours.tables(3, first_step)) == rows_of(ours.tables(3))[first_step:]


@pytest.mark.parametrize("batch_size, buffer", [(1, 1), (7, 1), (64, 10), (64, 10_000), (500, 30)])
def test_any_batch_and_buffer_size(stores: Stores, molecules: Molecules, batch_size: int, buffer: int) -> None:
    split = stores["bp"]["train"]
    for share in (Share(0, 2), Share(1, 2)):
        ours = loader(split, batch_size, share, mode="blocks", buffer_graphs=buffer)
        batches = rows_of(ours.tables(0))
        assert [len(batch) for batch in batches] == [min(batch_size, 105 - k) for k in range(0, 105, batch_size)]
        half = len(batches) // 2
        assert rows_of(ours.tables(0, half)) == batches[half:]


@pytest.mark.parametrize("depth", [0, 3])
@pytest.mark.parametrize("mode", MODES)
def test_epoch_collates_the_same_graphs(stores: Stores, mode: str, depth: int) -> None:
    ours = loader(stores["bp"]["train"], mode=mode, prefetch_depth=depth)
    for first_step in (0, 4):
        batches, tables = list(ours.epoch(1, first_step)), list(ours.tables(1, first_step))
        for batch, table in zip(batches, tables, strict=True):
            expected = GraphBatch.from_table(table)
            np.testing.assert_array_equal(batch.y, table.y)
            np.testing.assert_array_equal(batch.x, expected.x)
            np.testing.assert_array_equal(batch.edge_index, expected.edge_index)


def test_ranks_together_see_what_one_would(stores: Stores) -> None:
    split = stores["bp"]["train"]
    alone = rows_of(loader(split, 60).tables(4))
    ranks = [rows_of(loader(split, 20, Share(rank, 3)).tables(4)) for rank in range(3)]
    for one, *parts in zip(alone[:-1], *ranks, strict=False):
        assert sorted(row for part in parts for row in part) == sorted(one)


@pytest.mark.parametrize("mode", MODES)
def test_empty_split(tmp_path: Path, mode: str) -> None:
    tables = {"train": atom_table(3), "val": atom_table(0), "test": atom_table(0)}
    writer = create_writer("bp", tmp_path / "data.bp")
    writer.append("train", tables["train"])
    writer.finish(make_info(tables))
    ours = loader(open_store(tmp_path / "data.bp")["val"], mode=mode)
    assert (len(ours), list(ours.epoch(0))) == (0, [])


def test_wrong_mode_and_column(stores: Stores) -> None:
    with pytest.raises(ValueError, match="mode 'disk' is not one of .*memory.*blocks.*store"):
        loader(stores["bp"]["train"], mode="disk")
    with pytest.raises(StoreError, match="has no column 'node_y'"):
        BatchLoader(stores["bp"]["train"], ["x", "node_y"], 8)
    lazy = BatchLoader(stores["bp"]["train"], ["x", "node_y"], 8, mode="blocks")
    with pytest.raises(StoreError, match="has no column 'node_y'"):
        next(lazy.epoch(0))


# -- how well blocks mix -------------------------------------------------------------------------------

GRAPHS, BLOCK, BUFFER, BATCH, EPOCHS = 16_384, 256, 4_096, 64, 12


@pytest.fixture(scope="module")
def sorted_split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """The worst case: graphs sorted by their target, so that each block holds almost equal ones."""
    tables = {"train": atom_table(GRAPHS), "val": atom_table(0), "test": atom_table(0)}
    path = tmp_path_factory.mktemp("sorted") / "data.bp"
    writer = create_writer("bp", path)
    for start in range(0, GRAPHS, BLOCK):
        writer.append("train", tables["train"][start : start + BLOCK])
    writer.finish(make_info(tables))
    return open_store(path)["train"]


def emitted(split: Split, epoch: int, **options: object) -> np.ndarray:
    """int64 `[GRAPHS]`: the stored places of the graphs in the order in which they come."""
    ours = BatchLoader(split, ["row"], BATCH, seed=11, mode="blocks", **{"buffer_graphs": BUFFER, **options})
    return np.concatenate([table.columns["row"] for table in ours.tables(epoch)])


@pytest.fixture(scope="module")
def orders(sorted_split: Split) -> np.ndarray:
    """int64 `[EPOCHS, GRAPHS]`"""
    return np.stack([emitted(sorted_split, epoch) for epoch in range(EPOCHS)])


def variance_of_batch_means(orders: np.ndarray) -> float:
    """In units of the variance of the target."""
    return orders.reshape(len(orders), -1, BATCH).mean(2).var() / np.arange(GRAPHS).var()


def test_batch_means_of_sorted_data(orders: np.ndarray) -> None:
    """Batches of `b` from windows of `k` out of `K` blocks: sampling blocks adds `(K - k) / (K - 1) / k` to the
    variance `1 / b` of an exact shuffle. The estimate from 48 windows is good to about 2 x 20 %."""
    blocks, window = GRAPHS // BLOCK, BUFFER // BLOCK
    expected = 1 / BATCH + (blocks - window) / (blocks - 1) / window
    assert 0.6 < variance_of_batch_means(orders) / expected < 1.4
    unshuffled = variance_of_batch_means(np.arange(GRAPHS)[None])
    assert variance_of_batch_means(orders) < unshuffled / 10


def test_a_buffer_for_everything_is_an_exact_shuffle(sorted_split: Split) -> None:
    orders = np.stack([emitted(sorted_split, epoch, buffer_graphs=GRAPHS) for epoch in range(4)])
    assert 0.9 < variance_of_batch_means(orders) * BATCH < 1.1


def test_place_in_the_store_says_little_about_the_time(orders: np.ndarray) -> None:
    """Correlations of an order of 64 blocks have a standard deviation of 1 / sqrt(63)."""
    times = np.arange(GRAPHS)
    correlations = np.array([np.corrcoef(times, order)[0, 1] for order in orders])
    assert np.abs(correlations).max() < 4 / np.sqrt(63)
    assert abs(correlations.mean()) < 4 / np.sqrt(63 * EPOCHS)


def test_neighbours_in_the_store_are_parted(orders: np.ndarray) -> None:
    """A shuffle of a window leaves about two pairs of neighbours together, whatever its size."""
    together = (np.abs(np.diff(orders, axis=1)) == 1).sum(1)
    assert together.mean() < 3 * GRAPHS / BUFFER


def test_companions_change_from_epoch_to_epoch(orders: np.ndarray) -> None:
    """Two graphs of one batch meet again in the next epoch no more often than a window's size allows."""
    batch = np.empty_like(orders)
    for epoch, order in enumerate(orders):
        batch[epoch, order] = np.arange(GRAPHS) // BATCH
    first = orders[0].reshape(-1, BATCH)
    again = np.mean([batch[1, a] == batch[1, b] for a, b in zip(first[:, 0], first[:, 1], strict=True)])
    assert again < 10 * BATCH / BUFFER


# -- evaluation ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("world_size", [1, 2, 3, 7, 50])
def test_evaluation_sees_each_graph_once(stores: Stores, molecules: Molecules, kind: str, world_size: int) -> None:
    alone = [batch.y for batch in evaluation_batches(stores[kind]["train"], COLUMNS, 16)]
    assert [len(y) for y in alone] == [16] * 13 + [3]
    np.testing.assert_array_equal(np.concatenate(alone), molecules["train"].y)
    together = [
        batch.y
        for rank in range(world_size)
        for batch in evaluation_batches(stores[kind]["train"], COLUMNS, 16, Share(rank, world_size), prefetch_depth=0)
    ]
    for y, expected in zip(together, alone, strict=True):
        np.testing.assert_array_equal(y, expected)


def test_evaluation_of_an_empty_split(tmp_path: Path) -> None:
    tables = {"train": atom_table(3), "val": atom_table(0), "test": atom_table(0)}
    writer = create_writer("bp", tmp_path / "data.bp")
    writer.append("train", tables["train"])
    writer.finish(make_info(tables))
    assert list(evaluation_batches(open_store(tmp_path / "data.bp")["test"], COLUMNS, 16)) == []
