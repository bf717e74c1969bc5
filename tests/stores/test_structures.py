"""Atoms in space in the stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrasurr.errors import StoreError
from hydrasurr.graphs import GraphTable
from hydrasurr.graphs.structures import structure_schema, to_table, with_radius_graph
from hydrasurr.stores import SPLITS, DatasetInfo, create_writer, open_store
from preprocessing.convert import convert_store
from preprocessing.verify import verify_store
from tests.structures import atoms_in_space, ethanols, labelled_table, silicons, structure_info, systems_of
from tests.tables import assert_same_table

Tables = Mapping[str, GraphTable]


def fixed(table: GraphTable) -> GraphTable:
    """As the blocks of one data set have to be: all with the same type of edge ends."""
    return replace(table, edge_index=table.edge_index.astype(np.uint16))


@pytest.fixture(scope="module", params=[None, 4.0], ids=["bare", "edges"])
def cutoff(request: pytest.FixtureRequest) -> float | None:
    return request.param


@pytest.fixture(scope="module")
def tables(cutoff: float | None) -> Tables:
    """Molecules, crystals and single atoms; labels, some missing; an empty split."""
    table = labelled_table([*ethanols()[:9], Atoms("He"), *silicons()[::4], Atoms("Xe", cell=[9] * 3, pbc=[1, 0, 1])])
    table = fixed(table if cutoff is None else with_radius_graph(table, cutoff))
    return {"train": table[:12], "val": table[12:12], "test": table[12:]}


def write(kind: str, path: Path, tables: Tables, cutoff: float | None = None, block: int = 5) -> Path:
    writer = create_writer(kind, path, structure_schema())
    for split, table in tables.items():
        for start in range(0, len(table), block):
            writer.append(split, table[start : start + block])
            writer.flush()
    writer.finish(structure_info(dict(tables), cutoff))
    return path


@pytest.mark.parametrize("kind", ["bp", "pickle"])
def test_everything_comes_back(kind: str, tables: Tables, cutoff: float | None, tmp_path: Path) -> None:
    store = open_store(write(kind, tmp_path / "data", tables, cutoff))
    assert store.info == structure_info(dict(tables), cutoff)
    for name in SPLITS:
        split, expected = store[name], tables[name]
        assert_same_table(split.read(0, len(split)).validate(), expected)
        if len(split):
            some = ["position", "x", "cell"]
            assert_same_table(split.read(2, 6, some), expected[2:6].select(some))
            assert_same_table(split.gather(np.array([4, 0, 4])), expected.gather([4, 0, 4]))
    store.close()


def test_converted_there_and_back(tables: Tables, cutoff: float | None, tmp_path: Path) -> None:
    write("bp", tmp_path / "a.bp", tables, cutoff)
    convert_store(tmp_path / "a.bp", tmp_path / "b.pickle", "pickle", force=False)
    convert_store(tmp_path / "b.pickle", tmp_path / "c.bp", "bp", force=False)
    first, last = open_store(tmp_path / "a.bp"), open_store(tmp_path / "c.bp")
    assert first.info == last.info
    for name in SPLITS:
        assert_same_table(*(store[name].read(0, len(store[name])) for store in (first, last)))
    report = verify_store(tmp_path / "c.bp")
    assert report.checksums and not report.damages and report.graphs == sum(map(len, tables.values()))


def test_a_changed_coordinate_is_found(tables: Tables, cutoff: float | None, tmp_path: Path) -> None:
    path = write("bp", tmp_path / "a.bp", tables, cutoff)
    number = tables["train"].columns["position"][3, 1].tobytes()
    data = (path / "data.0").read_bytes()
    place = data.index(number)
    (path / "data.0").write_bytes(data[:place] + bytes([number[0] ^ 1]) + data[place + 1 :])
    damages = verify_store(path).damages
    assert [(damage.split, damage.start, damage.stop) for damage in damages] == [("train", 0, 5)]


def test_text_cannot_carry_positions(tables: Tables, tmp_path: Path) -> None:
    write("bp", tmp_path / "a.bp", tables)
    with pytest.raises(StoreError, match="a CSV store needs the columns 'smiles' and 'row'"):
        convert_store(tmp_path / "a.bp", tmp_path / "b.inline", "csv", force=False)
    assert not list(tmp_path.glob("b.inline*"))


def test_more_edges_than_two_bytes_count(tmp_path: Path) -> None:
    table = fixed(with_radius_graph(to_table(systems_of([silicons()[0]])), 24.0))
    assert table.num_edges > 2**16
    tables = {"train": table, "val": table[:0], "test": table[:0]}
    store = open_store(write("bp", tmp_path / "a.bp", tables, 24.0))
    assert_same_table(store["train"].read(0, 1), table)


def test_headers_of_molecules_say_nothing_of_structures(tables: Tables) -> None:
    header = structure_info(dict(tables)).model_dump()
    older = {key: value for key, value in header.items() if key != "structures"} | {"format_version": 2}
    assert DatasetInfo.model_validate(older).structures is None


@settings(max_examples=15)
@given(st.lists(atoms_in_space(), min_size=1, max_size=6), st.integers(1, 4), st.floats(1, 4))
def test_any_structures_come_back(tmp_path_factory, atoms: list[Atoms], block: int, cutoff: float) -> None:
    table = fixed(with_radius_graph(labelled_table(atoms), cutoff))
    tables = {"train": table, "val": table[:0], "test": table[:0]}
    path = write("bp", tmp_path_factory.mktemp("any") / "a.bp", tables, cutoff, block)
    store = open_store(path)
    assert_same_table(store["train"].read(0, len(table)), table)
    store.close()
