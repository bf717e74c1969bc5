"""What only the BP store does: checksums, damage told before ADIOS2 meets it, threads, self-description."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import adios2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.errors import StoreError
from hydrasurr.graphs import FeatureSchema, GraphTable, molecule_schema
from hydrasurr.stores import SPLITS, open_store
from hydrasurr.stores.base import checksum
from hydrasurr.stores.bp import BPWriter
from hydrasurr.stores.manifest import MANIFEST, write_manifest
from tests.tables import assert_same_table, atom_table, graph_tables, make_info, molecule_table, same_graphs, unpack

Tables = Mapping[str, GraphTable]


@pytest.fixture(scope="session")
def original(write: Callable[..., Path], molecules: Tables, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be changed."""
    return write("bp", tmp_path_factory.mktemp("bp") / "molecules.bp", molecules)


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "copy.bp"))


# -- what others see -----------------------------------------------------------------------------------


def test_global_arrays(original: Path, molecules: Tables) -> None:
    """The schema of the file as plain ADIOS2 shows it."""
    table = molecules["train"]
    with adios2.FileReader(str(original)) as file:
        shapes = {name: facts["Shape"] for name, facts in file.available_variables().items()}
        x = file.read("train/x")  # the element has the seven lowest bits, then the charge has four
        np.testing.assert_array_equal(x & 0x7F, table.x[:, 0])
        np.testing.assert_array_equal(x >> 7 & 0xF, table.x[:, 1])
        assert (x.dtype, file.read("train/edge_attr").dtype) == (np.uint32, np.uint8)
        np.testing.assert_array_equal(file.read("train/edge_index"), table.edge_index)
        np.testing.assert_array_equal(file.read("train/node_count"), table.counts("node"))
        assert file.read("train/node_count").dtype == np.uint16
        assert file.read_attribute("target_names") == ["y 0", "y 1"]
        assert file.read_attribute("target_units") == ["eV", "eV"]
        assert list(file.read_attribute("target_mean")) == [0.5, 0.5]
        assert FeatureSchema.from_json(file.read_attribute("feature_schema")) == make_info(molecules).feature_schema
        np.testing.assert_array_equal(file.read_attribute("degree_histogram"), np.bincount(table.in_degrees()))
    assert shapes["train/x"] == f"{table.num_nodes}"
    assert shapes["train/edge_index"] == f"2, {table.num_edges}"
    assert shapes["train/edge_attr"] == f"{table.num_edges}"
    assert shapes["train/y"] == "80, 2"
    columns = "x edge_index edge_attr y row smiles node_count edge_count char_count block_offset".split()
    assert {f"{split}/{column}" for split in SPLITS for column in columns} <= shapes.keys()


def test_without_a_schema_codes_are_matrices(tmp_path: Path, molecules: Tables) -> None:
    """The form of format version 1, which is read alike."""
    table = molecules["train"].with_columns(x=molecules["train"].x + np.uint8(200))  # no schema's codes
    writer = BPWriter(tmp_path / "data.bp")
    writer.append("train", table)
    writer.finish(make_info({"train": table, "val": table[:0], "test": table[:0]}, format_version=1))
    with adios2.FileReader(str(tmp_path / "data.bp")) as file:
        assert file.available_variables()["train/x"]["Shape"] == f"{table.num_nodes}, 9"
    assert_same_table(open_store(tmp_path / "data.bp")["train"].read(3, 9), table[3:9])


def test_code_that_the_schema_cannot_hold(tmp_path: Path, molecules: Tables) -> None:
    writer = BPWriter(tmp_path / "data.bp", schema=molecule_schema())
    table = molecules["train"].with_columns(x=molecules["train"].x + np.uint8(200))
    with pytest.raises(StoreError, match=r"data.bp', column 'x': code 2\d\d of feature 0 does not fit the schema's 7"):
        writer.append("train", table)
    writer.abort()


def test_memory_a_split_will_need(original: Path, molecules: Tables) -> None:
    columns = ["x", "edge_attr", "y"]
    needed = open_store(original)["train"].nbytes(columns)
    assert molecules["train"].select(columns).nbytes <= needed <= molecules["train"].nbytes * 2


def test_block_offsets_are_those_of_the_writer(original: Path) -> None:
    store = open_store(original)
    assert store["train"].block_offset.tolist() == [0, 17, 34, 51, 68, 80]
    assert store["val"].block_offset.tolist() == [0]


# -- writing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("atoms", [255, 256])
def test_count_beyond_its_type(tmp_path: Path, atoms: int) -> None:
    chain = molecule_table([f"[Fe]{'[Fe]' * (atoms - 1)}", "C"], max_atoms=1000)
    writer = BPWriter(tmp_path / "data.bp", count_dtype=np.uint8)
    chain = chain.select(["x", "edge_attr", "y"])
    if atoms == 255:
        writer.append("train", chain)
        writer.finish(make_info({"train": chain, "val": chain[:0], "test": chain[:0]}))
        assert_same_table(open_store(tmp_path / "data.bp")["train"].read(0, 2), chain)
    else:
        with pytest.raises(StoreError, match="a graph has 256 node rows, more than 255; use a wider count_dtype"):
            writer.append("train", chain)
        writer.abort()


def test_long_smiles_are_counted_too(tmp_path: Path) -> None:
    writer = BPWriter(tmp_path / "data.bp")
    with pytest.raises(StoreError, match="a graph has 65536 char rows"):
        writer.append("train", atom_table(1).with_smiles(["C" * 65_536]))
    writer.abort()


def test_blocks_must_look_alike(tmp_path: Path) -> None:
    table = molecule_table(["CCO", "CC"])
    others = {
        "edge_index: uint16": molecule_table(["CCO"], max_atoms=1000),
        "y: float32": table.with_columns(y=table.y.astype(np.float32)),
        r"y: float64 x \(1,\) instead of y: float64 x \(2,\)": table.with_columns(y=table.y[:, :1]),
        "instead of row: int64": table.select(["x", "edge_attr", "y", "smiles"]),
        "node_y: float64": table.with_columns(node_y=np.zeros((table.num_nodes, 1))),
    }
    for message, other in others.items():
        writer = BPWriter(tmp_path / "data.bp")
        writer.append("train", table)
        with pytest.raises(StoreError, match=f"a block has other columns than the first one: .*{message}"):
            writer.append("val", other)
        writer.abort()


# -- checksums -----------------------------------------------------------------------------------------


def test_checksums_of_blocks(original: Path) -> None:
    for name in SPLITS:
        split = open_store(original)[name]
        found = [checksum(split.read(start, stop)) for start, stop in pairwise(split.block_offset)]
        assert split.block_checksums().tolist() == found


@given(graph_tables(), graph_tables())
def test_checksums_are_equal_for_equal_tables_only(table: GraphTable, other: GraphTable) -> None:
    again = table.gather(range(len(table)))
    assert checksum(again) == checksum(table)
    assert checksum(replace(again, edge_index=np.asfortranarray(again.edge_index))) == checksum(table)
    same = same_graphs(unpack(table), unpack(other)) and table.directed == other.directed
    assert (checksum(table) == checksum(other)) == same


@given(graph_tables(min_graphs=1), st.data())
def test_any_changed_byte_changes_the_checksum(table: GraphTable, data: st.DataObject) -> None:
    arrays = {"edge_index": table.edge_index, **table.columns}
    name = data.draw(st.sampled_from([name for name, array in arrays.items() if array.nbytes]))
    flat = bytearray(arrays[name].tobytes())
    flat[data.draw(st.integers(0, len(flat) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    changed = np.frombuffer(bytes(flat), arrays[name].dtype).reshape(arrays[name].shape)
    other = replace(table, columns={**table.columns, name: changed})
    if name == "edge_index":
        other = replace(table, edge_index=changed)
    assert checksum(other) != checksum(table)


def test_checksum_knows_names_types_and_shapes() -> None:
    table = molecule_table(["CCO", "CC", "C", "O"])
    others = [
        table.with_columns(y=table.y.view(np.int64)),
        table.with_columns(y=table.y.reshape(4, 2, 1)),
        table.with_columns(x=table.x.astype(np.uint16)),
        replace(table, directed=True),
        table.select(["x", "edge_attr", "y", "row"]),
        table[:3],
        table[1:],
        table[:0],
        table.gather([1, 0, 2, 3]),
    ]
    assert len({checksum(other) for other in (table, *others)}) == len(others) + 1


# -- damage --------------------------------------------------------------------------------------------


def read_everything(path: Path) -> dict[str, GraphTable]:
    """What `path` holds. Raises StoreError, or AssertionError if a block differs from its checksum."""
    tables = {}
    store = open_store(path)
    for name in SPLITS:
        split = store[name]
        tables[name] = split.read(0, len(split))
        for expected, (start, stop) in zip(split.block_checksums(), pairwise(split.block_offset), strict=True):
            assert checksum(split.read(start, stop)) == expected
    store.close()
    return tables


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("file", ["data.0", "md.0", "md.idx", "mmd.0", MANIFEST])
def test_truncated_file(copy: Path, file: str, kept: float) -> None:
    """ADIOS2 itself would wait without end, crash, or show an empty file."""
    content = (copy / file).read_bytes()
    (copy / file).write_bytes(content[: int(kept * len(content))])
    with pytest.raises(StoreError, match=file):
        open_store(copy)


@pytest.mark.parametrize("file", ["data.0", "md.0", "md.idx", "mmd.0", MANIFEST])
def test_missing_file(copy: Path, file: str) -> None:
    (copy / file).unlink()
    with pytest.raises(StoreError, match=file):
        open_store(copy)


@pytest.mark.parametrize("file", ["md.0", "md.idx", "mmd.0"])
def test_one_changed_bit_where_adios_looks(copy: Path, file: str) -> None:
    content = bytearray((copy / file).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / file).write_bytes(content)
    with pytest.raises(StoreError, match=f"'{copy / file}' is damaged; copy the data set again"):
        open_store(copy)


def test_changed_data_never_go_unnoticed(copy: Path, molecules: Tables) -> None:
    """Each flipped bit is an error, a wrong checksum, or in bytes that mean nothing (ADIOS2 leaves gaps)."""
    file = copy / "data.0"
    content = file.read_bytes()
    rng = np.random.default_rng(5)
    noticed = 0
    for place in rng.choice(np.flatnonzero(np.frombuffer(content, np.uint8)), 60):
        changed = bytearray(content)
        changed[place] ^= 1 << rng.integers(8)
        file.write_bytes(changed)
        try:
            tables = read_everything(copy)
        except (StoreError, AssertionError):
            noticed += 1
        else:
            for name in SPLITS:
                assert_same_table(tables[name], molecules[name])
    assert noticed > 54


def test_lost_timings_do_no_harm(copy: Path, molecules: Tables) -> None:
    (copy / "profiling.json").unlink()
    assert_same_table(read_everything(copy)["train"], molecules["train"])


def test_foreign_bp_file(tmp_path: Path) -> None:
    path = tmp_path / "weather.bp"
    with adios2.Stream(str(path), "w") as stream:
        stream.write("wind", np.arange(5.0), [5], [0], [5])
    with pytest.raises(StoreError, match="weather.bp' is not a complete hydrasurr data set"):
        open_store(path)
    write_manifest(path)
    with pytest.raises(StoreError, match="weather.bp' is not a readable ADIOS2 BP data set"):
        open_store(path)


@pytest.mark.parametrize(
    "header, message",
    [
        ("{}", "damaged header"),
        ("no JSON", "damaged header"),
        ({"format_version": 4}, "format version 4, this hydrasurr reads up to 3: upgrade"),
        ({"graphs": None}, "damaged header"),
    ],
)
def test_wrong_header(tmp_path: Path, molecules: Tables, header: str | dict, message: str) -> None:
    if isinstance(header, dict):
        header = json.dumps(json.loads(make_info(molecules).model_dump_json()) | header)
    path = tmp_path / "data.bp"
    with adios2.Stream(str(path), "w") as stream:
        stream.write_attribute("hydrasurr", header)
    write_manifest(path)
    with pytest.raises(StoreError, match=message) as caught:
        open_store(path)
    assert str(path) in str(caught.value)


def test_closed_store(copy: Path) -> None:
    """ADIOS2 itself would leave a file of timings in /tmp."""
    copy = copy.rename(copy.with_name("closed.bp"))
    store = open_store(copy)
    split = store["train"]
    split.read(0, 5)
    store.close()
    store.close()
    assert not any(str(copy) in os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.exists())
    assert list(Path("/tmp").glob("closed.bp_*")) == []
    with pytest.raises(StoreError, match="closed.bp' cannot be read any more: it was closed"):
        split.read(0, 5)


# -- threads -------------------------------------------------------------------------------------------


def test_many_threads_read_one_store(original: Path, molecules: Tables) -> None:
    store = open_store(original)

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(30):
            name = ("train", "test")[rng.integers(2)]
            table = molecules[name]
            start, stop = sorted(rng.integers(0, len(table) + 1, 2))
            assert_same_table(store[name].read(start, stop), table[start:stop])
            indices = rng.integers(0, len(table), 5)
            assert_same_table(store[name].gather(indices), table.gather(indices))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def test_two_stores_of_one_file(original: Path, molecules: Tables) -> None:
    first, second = open_store(original), open_store(original)
    first.close()
    assert_same_table(second["train"].read(0, 80), molecules["train"])
