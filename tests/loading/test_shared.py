"""One copy of a table a node, with real processes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest

from hydrasurr.graphs import GraphTable
from hydrasurr.loading import BatchLoader, Share
from hydrasurr.loading.shared import read_once_a_node
from hydrasurr.stores import GraphStore
from hydrasurr.stores.base import checksum
from tests.conftest import ROOT
from tests.tables import assert_same_table

COLUMNS = ["x", "edge_attr", "y"]
RANK = """
import json, sys, warnings
from pathlib import Path
import numpy as np
import torch.distributed as dist
from hydrasurr.errors import StoreError
from hydrasurr.loading import BatchLoader, Share, shared
from hydrasurr.stores import open_store
from hydrasurr.stores.base import checksum

warnings.simplefilter("error", UserWarning)  # such as torch's about memory that cannot be written
rank, folder, columns = int(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
split, broken = (open_store(folder / name)["train"] for name in ("bp", "broken"))
found = {}

def tell(name):
    table = shared.read_once_a_node(split, columns)
    found[name] = [checksum(table), isinstance(table.x, np.memmap), table.x.flags.writeable]

dist.init_process_group("gloo", init_method=f"file://{folder}/three", rank=rank, world_size=3)
tell("three on one node")
loader = BatchLoader(split, columns, 8, Share(rank, 3), seed=4)
found["batches"] = [batch.y.nan_to_num(9.0).tolist() for batch in loader.epoch(0)]
calls = []

def without_the_last(table):
    calls.append(len(table))
    return table[:-1]

prepared = shared.read_once_a_node(split, columns, without_the_last)
found["prepared"] = [checksum(prepared), len(calls)]
try:
    shared.read_once_a_node(broken, columns)
except StoreError as error:
    found["error"] = str(error)
name = shared.node_name()
shared.node_name = lambda: name if rank < 2 else "another machine"  # one machine cannot be two otherwise
tell("two and one")
dist.destroy_process_group()
if rank < 2:
    dist.init_process_group("gloo", init_method=f"file://{folder}/two", rank=rank, world_size=2)
    tell("two on one node")
    dist.destroy_process_group()
    tell("alone")
(folder / f"{rank}.json").write_text(json.dumps(found))
"""


def copies() -> set[Path]:
    return {path for place in ("/dev/shm", tempfile.gettempdir()) for path in Path(place).glob("hydrasurr-table-*")}


@pytest.fixture(scope="module")
def before() -> set[Path]:
    return copies()


@pytest.fixture(scope="module")
def ranks(
    stores: Mapping[str, GraphStore], before: set[Path], tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """What three processes found."""
    folder = tmp_path_factory.mktemp("ranks")
    shutil.copytree(stores["bp"].path, folder / "bp")
    shutil.copytree(stores["csv"].path, folder / "broken")
    table = folder / "broken/train.csv"
    table.write_text(table.read_text().replace("1007,", "1007,(", 1))
    command = [sys.executable, "-c", RANK]
    processes = [
        subprocess.Popen([*command, str(rank), str(folder), json.dumps(COLUMNS)], cwd=ROOT) for rank in range(3)
    ]
    try:
        assert [process.wait(300) for process in processes] == [0, 0, 0]
    finally:
        for process in processes:
            process.kill()
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(3)]


def test_all_ranks_have_the_same_table(ranks: list[dict[str, Any]], molecules: Mapping[str, GraphTable]) -> None:
    expected = checksum(molecules["train"].select(COLUMNS))
    shared, own = [expected, True, False], [expected, False, True]
    assert [found["three on one node"] for found in ranks] == [shared] * 3
    assert [found["two and one"] for found in ranks] == [shared, shared, own]
    assert [found["two on one node"] for found in ranks[:2]] == [shared] * 2
    assert [found["alone"] for found in ranks[:2]] == [own] * 2


def test_one_rank_of_a_node_prepares_the_table(
    ranks: list[dict[str, Any]], molecules: Mapping[str, GraphTable]
) -> None:
    expected = checksum(molecules["train"][:-1].select(COLUMNS))
    assert [found["prepared"] for found in ranks] == [[expected, 1], [expected, 0], [expected, 0]]


def test_batches_from_the_shared_table(ranks: list[dict[str, Any]], stores: Mapping[str, GraphStore]) -> None:
    for rank, found in enumerate(ranks):
        alone = BatchLoader(stores["bp"]["train"], COLUMNS, 8, Share(rank, 3), seed=4)
        assert found["batches"] == [batch.y.nan_to_num(9.0).tolist() for batch in alone.epoch(0)]


def test_all_ranks_hear_of_an_error(ranks: list[dict[str, Any]]) -> None:
    first, *others = [found["error"] for found in ranks]
    assert others == [first] * 2
    assert "broken', row 1007: SMILES syntax error" in first


def test_no_copy_is_left_behind(ranks: list[dict[str, Any]], before: set[Path]) -> None:
    until = monotonic() + 60
    while copies() - before and monotonic() < until:  # those of other runs on this machine go, too
        sleep(0.2)
    assert copies() - before == set()


def test_one_process_reads_for_itself(stores: Mapping[str, GraphStore], molecules: Mapping[str, GraphTable]) -> None:
    table = read_once_a_node(stores["bp"]["train"], COLUMNS)
    assert_same_table(table, molecules["train"].select(COLUMNS))
    assert not isinstance(table.x, np.memmap)
