from __future__ import annotations

import csv
import math
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from hydrasurr.errors import ConfigError, HydrasurrError, StoreError
from hydrasurr.stores import SPLITS, open_store
from preprocessing.pipeline import preprocess
from preprocessing.scan import TableScan
from tests.preprocessing.conftest import command_environment, mpiexec

BAD = {100: ("C(C", 1.0), 700: ("CC", "x"), 701: ("", 2.0)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, qm9, write_table, write_card) -> Path:
    """A table of 1,200 rows, three of them bad, with its card, and what one process makes of it."""
    folder = tmp_path_factory.mktemp("pipeline")
    rows = [BAD.get(row, qm9[row - 1]) for row in range(1, 1201)]
    write_table(folder / "t.csv", ["smiles", "gap"], rows)
    card = write_card(folder, targets=[{"name": "gap", "unit": "eV", "scale": 27.2}], description="d", licence="L")
    preprocess(card, folder / "one.bp", workers=1, show=False)
    return folder


def test_every_row_is_in_one_split_or_rejected(folder, qm9):
    store = open_store(folder / "one.bp")
    rows = {split: store[split].read(0, len(store[split])).columns["row"].tolist() for split in SPLITS}
    assert all(part == sorted(part) for part in rows.values())
    assert sorted(row for part in rows.values() for row in part) == [row for row in range(1, 1201) if row not in BAD]
    assert store.info.graphs == {split: len(part) for split, part in rows.items()}
    assert store.info.rejected == len(BAD)
    for part, share in zip(rows.values(), (0.94, 0.02, 0.04), strict=True):
        assert abs(len(part) - 1197 * share) <= 2  # rejects were counted when the bounds were set
    for split in SPLITS:
        table = store[split].read(0, len(store[split])).validate()
        for smiles, y, row in zip(table.smiles(), table.y, table.columns["row"], strict=True):
            assert smiles == qm9[row - 1][0]
            assert y.tolist() == [qm9[row - 1][1] * 27.2]


def test_rejects_are_listed(folder):
    with (folder / "one.rejects.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["row"]), row["smiles"], row["reason"]) for row in rows] == [
        (100, "C(C", "SMILES syntax error"),
        (700, "CC", "column 'gap' is not a number: 'x'"),
        (701, "", "empty SMILES"),
    ]


def test_statistics_are_those_of_the_training_split(folder):
    store = open_store(folder / "one.bp")
    y = store["train"].read(0, len(store["train"])).y[:, 0]
    facts = store.info.statistics[0]
    assert (facts.count, facts.min, facts.max) == (len(y), y.min(), y.max())
    assert facts.mean == pytest.approx(y.mean(), rel=1e-12)
    assert facts.std == pytest.approx(y.std(), rel=1e-12)


def test_degrees_and_sizes_are_those_rdkit_counts(folder):
    store = open_store(folder / "one.bp")
    for split in SPLITS:
        degrees, nodes, bonds = Counter(), 0, 0
        for smiles in store[split].read(0, len(store[split])).smiles():
            mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
            degrees.update(atom.GetDegree() for atom in mol.GetAtoms())
            nodes, bonds = nodes + mol.GetNumAtoms(), bonds + mol.GetNumBonds()
        assert (store.info.nodes[split], store.info.edges[split]) == (nodes, bonds)
        if split == "train":
            assert dict(enumerate(store.info.degree_histogram)) == {
                degree: degrees[degree] for degree in range(max(degrees) + 1)
            }


def test_the_header_tells_where_the_data_are_from(folder):
    info = open_store(folder / "one.bp").info
    sha256 = subprocess.run(["sha256sum", folder / "t.csv"], capture_output=True, text=True).stdout.split()[0]
    assert info.source == {
        "files": [{"name": "t.csv", "sha256": sha256}], "rows": 1200, "licence": "L", "source": ""
    }  # fmt: skip
    assert info.split == {"rule": "random", "seed": 0, "fractions": [0.94, 0.02, 0.04]}
    assert (info.name, info.description, info.directed) == ("t", "d", False)


# -- the same whoever works --------------------------------------------------------------------------------


def test_three_workers_write_the_same(folder, assert_same, run_command):
    """Under a launcher of a single process, which is no reason not to use a pool."""
    run = run_command(folder / "card.json", "--out", folder / "pool.bp", "--workers", 3, launcher=mpiexec(1))
    assert run.returncode == 0, run.stderr
    assert_same(folder / "one.bp", folder / "pool.bp")
    assert (folder / "pool.rejects.csv").read_text() == (folder / "one.rejects.csv").read_text()
    one, pool = (open_store(folder / name) for name in ("one.bp", "pool.bp"))
    np.testing.assert_array_equal(one["train"].block_checksums(), pool["train"].block_checksums())


@pytest.mark.parametrize("ranks", [2, 3])
def test_mpi_ranks_write_the_same(folder, assert_same, run_command, ranks):
    out = folder / f"mpi{ranks}.bp"
    run = run_command(folder / "card.json", "--out", out, launcher=mpiexec(ranks))
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("data set:") == 1
    assert_same(folder / "one.bp", out)
    assert out.with_suffix(".rejects.csv").read_text() == (folder / "one.rejects.csv").read_text()


def test_mpi_ranks_share_a_scaffold_split(folder, tmp_path, write_card, assert_same, run_command):
    shutil.copy(folder / "t.csv", tmp_path)
    card = write_card(tmp_path, split={"rule": "scaffold"})
    preprocess(card, tmp_path / "one.bp", workers=1, show=False)
    run = run_command(tmp_path / "card.json", "--out", tmp_path / "mpi.bp", launcher=mpiexec(2))
    assert run.returncode == 0, run.stderr
    assert_same(tmp_path / "one.bp", tmp_path / "mpi.bp")


def test_an_error_that_all_ranks_know_is_told_once(folder, run_command):
    run = run_command(folder / "card.json", "--out", folder / "one.bp", launcher=mpiexec(2))
    assert run.returncode == 1
    assert run.stderr.count("exists; --force replaces it") == 1


def _run_script(folder: Path, body: str, launcher: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    """A script that maps `work` over eight chunks, larger than a pipe, of ten rows with the crew that `body` makes."""
    lines = [
        "import os, signal",
        "from preprocessing.crew import make_crew",
        "from preprocessing.pool import PoolCrew",
        "from preprocessing.rows import Chunk",
        body,
        "if __name__ == '__main__':",
        "    chunks = (Chunk(k, 10 * k + 1, ['C' * 100_000] * 10) for k in range(8))",
        "    with crew() as crew:",
        "        print(list(crew.map(work, chunks, 8)))",
    ]
    (folder / "script.py").write_text("\n".join(lines))
    return subprocess.run(
        [*launcher, sys.executable, folder / "script.py"],
        capture_output=True,
        text=True,
        timeout=60,
        env=command_environment(),
    )


def test_an_error_on_one_rank_ends_all(tmp_path):
    """Rank 1 fails while rank 0 waits for it and rank 2 waits for rank 0."""
    body = (
        "from hydrasurr.errors import HydrasurrError\n"
        "def work(chunk):\n"
        "    if chunk.index == 4: raise HydrasurrError('chunk 4 is cursed')\n"
        "    return chunk.index\n"
        "crew = make_crew"
    )
    run = _run_script(tmp_path, body, mpiexec(3))
    assert run.returncode != 0
    assert "error (rank 1): chunk 4 is cursed" in run.stderr


def test_a_worker_that_dies_is_reported_with_its_rows(tmp_path):
    """Killed from outside, as by a machine short of memory."""
    body = (
        "def work(chunk):\n"
        "    if chunk.index == 3: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return chunk.index\n"
        "def crew(): return PoolCrew(2)"
    )
    run = _run_script(tmp_path, body)
    assert run.returncode == 1
    assert "a worker process died on rows 31 to 40" in run.stderr


def test_a_bug_in_a_worker_keeps_its_traceback(tmp_path):
    run = _run_script(tmp_path, "def work(chunk): return 1 / (chunk.index - 2)\ndef crew(): return PoolCrew(2)")
    assert run.returncode == 1
    assert "ZeroDivisionError" in run.stderr and "the work on rows 21 to 30 failed" in run.stderr


# -- options -----------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path, qm9, write_table):
    """A folder with the table of 60 molecules `t.csv`."""
    write_table(
        tmp_path / "t.csv",
        ["smiles", "gap", "set"],
        [(*qm9[k], ("train", "valid", "TEST")[k % 3]) for k in range(60)],
    )
    return tmp_path


def test_strict_stops_at_the_first_bad_row(folder, write_card, tmp_path):
    shutil.copy(folder / "t.csv", tmp_path)
    with pytest.raises(HydrasurrError, match=r"t\.csv', row 100, 'C\(C': SMILES syntax error"):
        preprocess(write_card(tmp_path), tmp_path / "s.bp", workers=1, strict=True, show=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["card.json", "t.csv"]


def test_limit_takes_the_first_rows(small, write_card):
    outcome = preprocess(write_card(small), small / "l.bp", workers=1, limit=25, show=False)
    assert sum(outcome.info.graphs.values()) == 25
    assert outcome.info.source["rows"] == outcome.info.source["limit"] == 25
    assert open_store(small / "l.bp")["test"].read(0, 1).columns["row"][0] <= 25


def test_a_column_may_say_the_split(small, write_card):
    card = write_card(small, split={"rule": "column", "column": "set"})
    outcome = preprocess(card, small / "c.bp", workers=1, show=False)
    assert outcome.info.graphs == {"train": 20, "val": 20, "test": 20}
    assert outcome.info.split == {"rule": "column", "column": "set"}
    assert (open_store(small / "c.bp")["val"].read(0, 20).columns["row"] % 3 == 2).all()


@pytest.mark.parametrize("kind", ["bp", "pickle", "csv"])
def test_all_stores_get_the_same(small, write_card, assert_same, kind):
    preprocess(write_card(small), small / "ref.bp", workers=1, show=False)
    outcome = preprocess(write_card(small), small / "other", kind=kind, workers=1, show=False)
    assert outcome.path == small / "other"
    assert_same(small / "ref.bp", small / "other")


def test_an_unknown_store_is_refused(small, write_card):
    with pytest.raises(ConfigError, match="no store 'pickel'; did you mean 'pickle'"):
        preprocess(write_card(small), kind="pickel", workers=1, show=False)


def test_unlabelled_libraries_and_several_files(tmp_path, qm9, write_card):
    for name, part in (("a.smi", qm9[:30]), ("b.smi", qm9[30:70])):
        (tmp_path / name).write_text("".join(f"{smiles} some name\n" for smiles, _ in part))
    card = write_card(tmp_path, files=["a.smi", "b.smi"], targets=[], explicit_hydrogens=False)
    outcome = preprocess(card, tmp_path / "u.bp", workers=1, show=False)
    assert sum(outcome.info.graphs.values()) == 70
    assert outcome.info.targets == outcome.info.statistics == ()
    train = open_store(tmp_path / "u.bp")["train"]
    assert train.read(0, len(train)).smiles() == [qm9[row - 1][0] for row in train.read(0, len(train)).columns["row"]]
    assert not outcome.info.feature_schema.explicit_hydrogens


def test_targets_with_gaps_keep_their_own_statistics(tmp_path, write_table, write_card):
    rows = [("C" * (k + 1), k if k % 2 else "", "1 " * (k + 1)) for k in range(50)]
    write_table(tmp_path / "t.csv", ["smiles", "a", "q"], rows)
    targets = [{"name": "q", "level": "node"}, {"name": "a"}]
    outcome = preprocess(write_card(tmp_path, targets=targets), tmp_path / "g.bp", workers=1, show=False)
    train = open_store(tmp_path / "g.bp")["train"].read(0, outcome.info.graphs["train"])
    charges, values = outcome.info.statistics
    assert (charges.mean, charges.std) == (1, 0)
    assert charges.count == sum(map(len, train.smiles()))
    assert values.count == np.isfinite(train.y).sum()
    assert values.mean == pytest.approx(np.nanmean(train.y))
    assert math.isnan(train[0].columns["node_y"][-1, 0])  # a hydrogen


def test_an_existing_output_is_replaced_only_by_force(small, write_card):
    card = write_card(small)
    preprocess(card, small / "o.bp", workers=1, limit=50, show=False)
    with pytest.raises(StoreError, match=r"o\.bp' exists; --force replaces it"):
        preprocess(card, small / "o.bp", workers=1, show=False)
    preprocess(card, small / "o.bp", workers=1, force=True, show=False)
    assert open_store(small / "o.bp").info.source["rows"] == 60


def test_force_replaces_data_sets_only(small, write_card):
    (small / "mine").mkdir()
    (small / "mine" / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(StoreError, match="is not a data set"):
        preprocess(write_card(small), small / "mine", workers=1, force=True, show=False)
    assert (small / "mine" / "thesis.txt").read_text() == "irreplaceable"


def test_a_stale_list_of_rejects_goes(small, write_card):
    (small / "o.rejects.csv").write_text("from yesterday")
    assert preprocess(write_card(small), small / "o.bp", workers=1, show=False).rejects is None
    assert not (small / "o.rejects.csv").exists()


@pytest.mark.parametrize(
    ("table", "keys", "message"),
    [
        ("smiles,gap\nC(,1\nx,2\n", {}, r"all 2 rows were rejected.*first reject is row 1, 'C\('"),
        ("smiles,gap\n", {}, "no rows in"),
        (
            "smiles,gap\nC,1\n",
            {"split": {"fractions": [0.01, 0, 0.99]}},
            "no molecules for training",
        ),
        (
            "smiles,gap,b\n" + "C,1,\n" * 5,
            {"targets": [{"name": "gap"}, {"name": "b"}]},
            r"target 'b' \(column 'b'\) has no value to train on",
        ),
    ],
)
def test_a_table_without_use_writes_nothing(tmp_path, write_card, table, keys, message):
    (tmp_path / "t.csv").write_text(table)
    with pytest.raises(HydrasurrError, match=message):
        preprocess(write_card(tmp_path, **keys), tmp_path / "n.bp", workers=1, show=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["card.json", "t.csv"]


def test_chunks_depend_on_the_table_alone(folder, write_card):
    sizes = [TableScan(rows, {}, None).chunk_size for rows in (1, 5000, 100_000, 10**8)]
    assert sizes == [256, 256, 391, 4096]
    assert [TableScan(rows, {}, None).chunks for rows in (1, 256, 257)] == [1, 1, 2]


def test_a_data_set_to_evaluate_on_needs_no_training_split(tmp_path, qm9, write_table, write_card):
    write_table(tmp_path / "t.csv", ["smiles", "gap"], qm9[:50])
    card = write_card(tmp_path, split={"fractions": [0, 0, 1]})
    outcome = preprocess(card, tmp_path / "t.bp", workers=1, show=False)
    assert outcome.info.graphs == {"train": 0, "val": 0, "test": 50}
    store = open_store(outcome.path)
    assert len(store["test"].read(0, 50)) == 50
    assert store.info.statistics[0].count == 0
