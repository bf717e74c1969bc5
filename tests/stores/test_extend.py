"""Data sets that grow: nothing old is changed, and a kill leaves the old one or the new one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from hydrasurr.errors import StoreError
from hydrasurr.graphs import GraphTable
from hydrasurr.graphs.table import concatenate
from hydrasurr.stores import open_store
from hydrasurr.stores.base import partial_path, replaced_path, restore
from hydrasurr.stores.extend import extend
from tests.tables import assert_same_table, make_info, molecule_table

Tables = Mapping[str, GraphTable]
ROOT = Path(__file__).resolve().parents[2]


def joined(old: Tables, new: Tables) -> dict[str, GraphTable]:
    return {split: concatenate([old[split], *([new[split]] if split in new else [])]) for split in old}


@pytest.mark.parametrize("elsewhere", [False, True])
def test_new_graphs_come_after_the_old_ones(
    write: Callable[..., Path], molecules: Tables, tmp_path: Path, elsewhere: bool
) -> None:
    source = write("bp", tmp_path / "source.bp", molecules)
    new = {"train": molecule_table(["CCO", "[2H]O", "c1ccccc1"]), "val": molecule_table(["CC#N"])}
    whole = joined(molecules, new)
    out = tmp_path / "out.bp" if elsewhere else source
    extend(source, new, make_info(whole, name="larger"), out)
    store = open_store(out)
    assert store.info.name == "larger"
    for split, table in whole.items():
        assert_same_table(store[split].read(0, len(table)), table)
    assert store["train"].block_offset.tolist() == [0, 80, 83]  # blocks of 17 have become one
    if elsewhere:
        assert len(open_store(source)["train"]) == 80
    assert not partial_path(out).exists() and not replaced_path(out).exists()


def test_what_does_not_fit_leaves_the_old_one(write: Callable[..., Path], molecules: Tables, tmp_path: Path) -> None:
    source = write("bp", tmp_path / "source.bp", molecules)
    before = {file.name: file.read_bytes() for file in source.iterdir()}
    with pytest.raises(StoreError, match="new graphs have the columns"):
        extend(source, {"train": molecule_table(["C"]).select(["x", "edge_attr"])}, make_info(molecules))
    with pytest.raises(StoreError, match="81 graphs were written to 'train', its header says 80"):
        extend(source, {"train": molecule_table(["C"])}, make_info(molecules))
    assert {file.name: file.read_bytes() for file in source.iterdir()} == before
    assert not partial_path(source).exists()


def test_between_two_names(write: Callable[..., Path], molecules: Tables, tmp_path: Path) -> None:
    """A kill between both renames leaves the old one under another name, which is told, and put right."""
    source = write("bp", tmp_path / "source.bp", molecules)
    os.rename(source, replaced_path(source))
    with pytest.raises(StoreError, match=r"'.*source.bp.old' is the one that another was to replace"):
        open_store(source)
    new = {"val": molecule_table(["C"])}
    extend(source, new, make_info(joined(molecules, new)))
    assert len(open_store(source)["val"]) == 1
    shutil.copytree(source, replaced_path(source))  # a kill while the old one was being removed
    extend(source, new, make_info(joined(joined(molecules, new), new)))
    assert len(open_store(source)["val"]) == 2
    assert not replaced_path(source).exists()


def test_killed_at_any_moment(tmp_path: Path, write: Callable[..., Path]) -> None:
    """A process that adds a molecule again and again is killed by -9: what is left is whole."""
    source, many, one = tmp_path / "source.bp", molecule_table(["CCO"] * 1000), molecule_table(["C"])
    write("bp", source, {"train": many, "val": one, "test": one[:0]})
    script = f"""
from pathlib import Path
from hydrasurr.stores import open_store
from hydrasurr.stores.extend import extend
from tests.tables import make_info, molecule_table
path = Path({str(source)!r})
while True:
    store = open_store(path)
    tables = {{split: store[split].read(0, len(store[split])) for split in ("train", "val", "test")}}
    store.close()
    counts = {{split: len(table) for split, table in tables.items()}}
    counts["val"] += 1
    info = make_info(tables, graphs=counts)
    extend(path, {{"val": molecule_table(["C"])}}, info)
    print(counts["val"], flush=True)
"""
    sizes = []
    for pause in np.random.default_rng(0).uniform(0, 0.05, 4):
        process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        reported = int(process.stdout.readline())
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        reported = int((process.communicate()[0].split() or [reported])[-1])
        restore(source)
        store = open_store(source)
        sizes.append(len(store["val"]))
        assert sizes[-1] in (reported, reported + 1)
        assert_same_table(store["train"].read(0, 1000), many)
        store.close()
    assert sizes == sorted(set(sizes))
