"""What all three stores promise: what was written comes back, exactly, in any portion; errors say what is wrong."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrasurr.errors import StoreError
from hydrasurr.graphs import GraphTable
from hydrasurr.stores import KINDS, SPLITS, create_writer, open_store, store_kind
from hydrasurr.stores.base import FOLDER_HEADERS
from hydrasurr.stores.manifest import MANIFEST
from tests.tables import assert_same_table, graph_tables, make_info, molecule_table

Tables = Mapping[str, GraphTable]
Write = Callable[..., Path]
HEADERS = {"bp": MANIFEST, **FOLDER_HEADERS}


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def dataset(kind: str, write: Write, molecules: Tables, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of each kind; not to be changed."""
    return write(kind, tmp_path_factory.mktemp(kind) / "data", molecules)


# -- what comes back -----------------------------------------------------------------------------------


def test_everything(dataset: Path, molecules: Tables) -> None:
    store = open_store(dataset)
    for name in SPLITS:
        split = store[name]
        assert len(split) == len(molecules[name])
        assert_same_table(split.read(0, len(split)).validate(), molecules[name])
    store.close()


def test_header(dataset: Path, kind: str, molecules: Tables) -> None:
    assert open_store(dataset).info == make_info(molecules)
    assert store_kind(dataset) == kind


@pytest.mark.parametrize("start, stop", [(0, 0), (0, 1), (5, 40), (16, 17), (17, 34), (79, 80), (80, 80)])
def test_slices(dataset: Path, molecules: Tables, start: int, stop: int) -> None:
    assert_same_table(open_store(dataset)["train"].read(start, stop), molecules["train"][start:stop])


@pytest.mark.parametrize("indices", [[], [3], [79, 0, 79, 40, 41], [17, 16], list(range(80))[::-1]])
def test_gather(dataset: Path, molecules: Tables, indices: list[int]) -> None:
    split = open_store(dataset)["train"]
    assert_same_table(split.gather(np.array(indices, np.int64)), molecules["train"].gather(indices))


@pytest.mark.parametrize("columns", [[], ["x"], ["y", "row"], ["edge_attr", "x", "y"], ["smiles"]])
def test_columns(dataset: Path, molecules: Tables, columns: list[str]) -> None:
    expected = {name: table.select(columns) for name, table in molecules.items()}
    store = open_store(dataset)
    assert_same_table(store["train"].read(10, 60, columns), expected["train"][10:60])
    assert_same_table(store["test"].gather(np.array([2, 1]), columns), expected["test"].gather([2, 1]))
    assert_same_table(store["val"].read(0, 0, columns), expected["val"])


def test_blocks_cover_the_split(dataset: Path, molecules: Tables) -> None:
    for name, table in molecules.items():
        offset = open_store(dataset)[name].block_offset
        assert (offset[0], offset[-1]) == (0, len(table))
        assert (np.diff(offset) >= 0).all()


def test_limit_of_wide_indices(kind: str, write: Write, tmp_path: Path) -> None:
    tables = {split: molecule_table(["C" * 90, "C"], max_atoms=300) for split in SPLITS}
    store = open_store(write(kind, tmp_path / "wide", tables, max_nodes=300))
    assert_same_table(store["test"].read(0, 2), tables["test"])
    assert store["test"].read(1, 2).edge_index.dtype == np.uint16


def test_no_targets(kind: str, write: Write, tmp_path: Path, molecules: Tables) -> None:
    tables = {name: table.select(["x", "edge_attr", "row", "smiles"]) for name, table in molecules.items()}
    store = open_store(write(kind, tmp_path / "bare", tables))
    assert_same_table(store["train"].read(0, 80), tables["train"])
    assert store.info.targets == ()


@pytest.mark.parametrize("kind", ["bp", "pickle"])
def test_node_targets(kind: str, write: Write, tmp_path: Path, molecules: Tables) -> None:
    rng = np.random.default_rng(3)
    tables = {
        name: table.with_columns(node_y=rng.normal(size=(table.num_nodes, 2))) for name, table in molecules.items()
    }
    store = open_store(write(kind, tmp_path / "nodes", tables))
    assert_same_table(store["test"].read(3, 20), tables["test"][3:20])
    assert [target.level for target in store.info.targets] == ["graph", "graph", "node", "node"]


def test_csv_cannot_carry_node_targets(tmp_path: Path, molecules: Tables) -> None:
    table = molecules["test"].with_columns(node_y=np.zeros((molecules["test"].num_nodes, 1)))
    for refused in (table, molecules["test"].select(["x", "edge_attr", "y", "row"])):
        writer = create_writer("csv", tmp_path / "data")
        with pytest.raises(StoreError, match="a CSV store needs the columns 'smiles' and 'row', and graph-level"):
            writer.append("test", refused)
        writer.abort()


@pytest.mark.parametrize("kind", ["bp", "pickle"])
@settings(max_examples=15)
@given(table=graph_tables(min_graphs=1), data=st.data())
def test_any_table(kind: str, table: GraphTable, data: st.DataObject) -> None:
    """Also graphs without nodes, directed ones, any text for a SMILES."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(table)), max_size=4)))
    with tempfile.TemporaryDirectory() as folder:
        writer = create_writer(kind, Path(folder) / "data")
        for start, stop in zip([0, *cuts], [*cuts, len(table)], strict=True):
            writer.append("train", table[start:stop])
        tables = {"train": table, "val": table[:0], "test": table[:0]}
        writer.finish(make_info(tables))
        split = open_store(Path(folder) / "data")["train"]
        for _ in range(3):
            start = data.draw(st.integers(0, len(table)))
            stop = data.draw(st.integers(start, len(table)))
            assert_same_table(split.read(start, stop), table[start:stop])
        indices = data.draw(st.lists(st.integers(0, len(table) - 1), max_size=6))
        assert_same_table(split.gather(np.array(indices, np.int64)), table.gather(indices))


def test_convert_from_one_kind_to_the_next(dataset: Path, tmp_path: Path, molecules: Tables) -> None:
    source = open_store(dataset)
    for other in KINDS:
        writer = create_writer(other, tmp_path / other)
        for name in SPLITS:
            writer.append(name, source[name].read(0, len(source[name])))
        writer.finish(source.info)
        copy = open_store(tmp_path / other)
        assert copy.info == source.info
        for name in SPLITS:
            assert_same_table(copy[name].read(0, len(copy[name])), molecules[name])


# -- questions that have no answer ---------------------------------------------------------------------


def test_unknown_split_and_column(dataset: Path) -> None:
    store = open_store(dataset)
    with pytest.raises(StoreError, match="no split 'training'; a data set has train, val, test"):
        store["training"]
    for ask in (lambda split: split.read(0, 3, ["z"]), lambda split: split.gather(np.array([1]), ["x", "z"])):
        with pytest.raises(StoreError, match="has no column 'z'; it has .*edge_attr") as caught:
            ask(store["train"])
        assert str(dataset) in str(caught.value)


def test_graphs_outside_the_split(dataset: Path) -> None:
    split = open_store(dataset)["train"]
    for start, stop in ((0, 81), (-1, 3), (5, 4)):
        with pytest.raises(IndexError, match="outside a split of 80"):
            split.read(start, stop)
    for indices in ([80], [-1], [0, 3, 100]):
        with pytest.raises(IndexError, match="outside a split of 80"):
            split.gather(np.array(indices))


def test_unknown_kind(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store 'pickled'; did you mean 'pickle'"):
        create_writer("pickled", tmp_path / "data")


# -- writing -------------------------------------------------------------------------------------------


def test_nothing_appears_before_the_end(kind: str, tmp_path: Path, molecules: Tables) -> None:
    path = tmp_path / "deep" / "data"
    writer = create_writer(kind, path)
    for name, table in molecules.items():
        writer.append(name, table)
        writer.flush()
        assert not path.exists()
        with pytest.raises(StoreError, match="no data set at.*data.partial' is what an interrupted run left"):
            open_store(path)
        with pytest.raises(StoreError, match="not a complete hydrasurr data set"):
            open_store(path.with_name("data.partial"))
    writer.finish(make_info(molecules))
    assert [entry.name for entry in path.parent.iterdir()] == ["data"]


def test_an_older_data_set_stays_until_the_end(kind: str, write: Write, tmp_path: Path, molecules: Tables) -> None:
    path = write(kind, tmp_path / "data", molecules)
    new = {"train": molecules["test"], "val": molecules["train"], "test": molecules["val"]}
    for end in ("abort", "finish"):
        writer = create_writer(kind, path)
        for name, table in new.items():
            writer.append(name, table)
        writer.flush()
        assert_same_table(open_store(path)["train"].read(0, 80), molecules["train"])
        if end == "abort":
            writer.abort()
            assert_same_table(open_store(path)["train"].read(0, 80), molecules["train"])
        else:
            writer.finish(make_info(new))
    assert_same_table(open_store(path)["val"].read(0, 80), molecules["train"])
    assert [entry.name for entry in tmp_path.iterdir()] == ["data"]


def test_abort_leaves_nothing(kind: str, tmp_path: Path, molecules: Tables) -> None:
    writer = create_writer(kind, tmp_path / "data")
    writer.append("train", molecules["train"])
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_no_graphs_at_all(kind: str, tmp_path: Path, molecules: Tables) -> None:
    empty = {name: table[:0] for name, table in molecules.items()}
    writer = create_writer(kind, tmp_path / "data")
    writer.append("train", empty["train"])
    with pytest.raises(StoreError, match="no graphs to write to"):
        writer.finish(make_info(empty))
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_header_must_agree_with_what_was_written(kind: str, tmp_path: Path, molecules: Tables) -> None:
    writer = create_writer(kind, tmp_path / "data")
    writer.append("train", molecules["train"])
    with pytest.raises(StoreError, match="80 graphs were written to 'train', its header says 79"):
        writer.finish(make_info({**molecules, "train": molecules["train"][:79]}))
    writer.abort()


def test_unknown_split_when_writing(kind: str, tmp_path: Path, molecules: Tables) -> None:
    writer = create_writer(kind, tmp_path / "data")
    with pytest.raises(StoreError, match="no split 'training'"):
        writer.append("training", molecules["train"])
    writer.abort()


def write_and_die(kind: str, path: Path, table: GraphTable) -> None:
    writer = create_writer(kind, path)
    for _ in range(5):
        writer.append("train", table)
        writer.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def test_killed_while_writing(kind: str, tmp_path: Path, molecules: Tables, write: Write) -> None:
    path, partial = tmp_path / "data", tmp_path / "data.partial"
    process = get_context("fork").Process(target=write_and_die, args=(kind, path, molecules["train"]))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == [partial] and any(partial.iterdir())
    for what in (path, partial):
        with pytest.raises(StoreError):
            open_store(what)
    again = write(kind, path, molecules)  # what was left does no harm
    assert_same_table(open_store(again)["train"].read(0, 80), molecules["train"])
    assert list(tmp_path.iterdir()) == [path]


# -- what is no data set -------------------------------------------------------------------------------


def test_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.bp").write_text("smiles,gap\nCCO,1\n")
    with pytest.raises(StoreError, match="no data set at '.*missing'"):
        open_store(tmp_path / "missing")
    for name in ("empty", "file.bp"):
        with pytest.raises(StoreError, match=f"{name}' is not a complete hydrasurr data set.*hydrasurr-preprocess"):
            open_store(tmp_path / name)


@pytest.mark.parametrize("damage", ["{", "{}", "[]", "", "null", '{"name": "half'])
def test_damaged_header(kind: str, write: Write, tmp_path: Path, molecules: Tables, damage: str) -> None:
    path = write(kind, tmp_path / "data", molecules)
    (path / HEADERS[kind]).write_text(damage)
    with pytest.raises(StoreError, match="data"):
        open_store(path)


@pytest.mark.parametrize("kind", ["pickle", "csv"])
def test_header_of_a_newer_format(kind: str, write: Write, tmp_path: Path, molecules: Tables) -> None:
    path = write(kind, tmp_path / "data", molecules)
    header = path / HEADERS[kind]
    header.write_text(json.dumps({**json.loads(header.read_text()), "format_version": 99}))
    with pytest.raises(StoreError, match="format version 99.*upgrade hydrasurr"):
        open_store(path)
