"""Damage to the stores that are plain folders: pickled objects and CSV."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from hydrasurr.errors import StoreError
from hydrasurr.graphs import GraphTable
from hydrasurr.stores import open_store

Tables = Mapping[str, GraphTable]


@pytest.fixture
def pickled(write: Callable[..., Path], molecules: Tables, tmp_path: Path) -> Path:
    return write("pickle", tmp_path / "pickled", molecules)


@pytest.fixture
def inline(write: Callable[..., Path], molecules: Tables, tmp_path: Path) -> Path:
    return write("csv", tmp_path / "inline", molecules)


def test_pickled_layout_is_one_file_a_graph(pickled: Path) -> None:
    assert len(list((pickled / "train").rglob("*.pkl"))) == 80
    assert not (pickled / "val").exists()


def test_missing_pickle(pickled: Path) -> None:
    file = pickled / "train" / "000000" / "000000000041.pkl"
    file.unlink()
    split = open_store(pickled)["train"]
    assert len(split.read(0, 41)) == 41
    for ask in (lambda: split.read(40, 43), lambda: split.gather(np.array([3, 41]))):
        with pytest.raises(StoreError, match=f"cannot read '{file}'.*convert the data set again"):
            ask()


@pytest.mark.parametrize("size", [0, 1, 50, 200])
def test_truncated_pickle(pickled: Path, size: int) -> None:
    file = pickled / "test" / "000000" / "000000000002.pkl"
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(StoreError, match=f"cannot read '{file}'"):
        open_store(pickled)["test"].read(0, 5)


def test_pickle_of_a_class_that_is_gone(pickled: Path) -> None:
    file = pickled / "test" / "000000" / "000000000000.pkl"
    file.write_bytes(b"cno_such_module\nData\n.")
    with pytest.raises(StoreError, match="no_such_module"):
        open_store(pickled)["test"].read(0, 1)


def test_inline_layout_is_readable_text(inline: Path, molecules: Tables) -> None:
    first = (inline / "train.csv").read_text().splitlines()[0].split(",")
    assert first[:2] == ["1000", molecules["train"].smiles()[0]]
    np.testing.assert_array_equal(np.array(first[2:], float), molecules["train"].y[0])


def test_missing_csv(inline: Path) -> None:
    (inline / "val.csv").unlink()
    with pytest.raises(StoreError, match="cannot read '.*val.csv'"):
        open_store(inline)


def test_truncated_csv(inline: Path) -> None:
    file = inline / "train.csv"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:-1]))
    with pytest.raises(StoreError, match="train.csv' has 79 rows, 80 expected"):
        open_store(inline)


@pytest.mark.parametrize("line", ["", "x,C,1,2", "5,C,1", "5,C,1,2,3", "5,C,one,2", "5"])
def test_damaged_csv(inline: Path, line: str) -> None:
    file = inline / "test.csv"
    lines = file.read_text().splitlines()
    lines[3] = line
    file.write_text("\n".join(lines))
    with pytest.raises(StoreError, match="cannot read '.*test.csv': "):
        open_store(inline)


def test_csv_with_a_molecule_that_is_none(inline: Path) -> None:
    file = inline / "test.csv"
    lines = file.read_text().splitlines()
    lines[3] = "1083,C(,1,2"
    file.write_text("\n".join(lines))
    split = open_store(inline)["test"]
    assert len(split.read(0, 3)) == 3
    with pytest.raises(StoreError, match="inline', row 1083: SMILES syntax error"):
        split.read(0, 5)


def test_folder_without_header_is_told_to_be_incomplete(pickled: Path, inline: Path) -> None:
    for folder, header in ((pickled, "pickled.json"), (inline, "inline.json")):
        (folder / header).unlink()
        with pytest.raises(StoreError, match="not a complete hydrasurr data set"):
            open_store(folder)


def test_moved_data_sets_open(pickled: Path, inline: Path, tmp_path: Path) -> None:
    for path in (pickled, inline):
        moved = Path(shutil.move(path, tmp_path / f"{path.name} moved"))
        assert len(open_store(moved)["train"].read(0, 80)) == 80
