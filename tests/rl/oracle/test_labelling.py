"""Many molecules: by real workers, with deaths, hangs, stops and journals that were cut short."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.rl.oracle.config import OracleConfig
from hydrasurr.rl.oracle.journal import Entry, Journal
from hydrasurr.rl.oracle.label import XTBOracle
from hydrasurr.rl.oracle.labelling import label, reasons
from hydrasurr.rl.oracle.tasks import task_of, tasks_of
from hydrasurr.rl.scheduling.config import LeaseConfig, SchedulingConfig
from tests.rl.oracle.oracles import DEADLY, SLOW, CheapOracle, CountingOracle, SlowOracle

ROOT = Path(__file__).resolve().parents[3]
FAST = OracleConfig(conformers=1, fmax=0.2)


def test_all_are_labelled_in_order_and_failures_are_told() -> None:
    smiles = ["CCO", "nonsense", "C=C", "C1#CC1", "O", "CCO"]
    seen = []
    labels = label(smiles, XTBOracle(FAST), workers=2, progress=lambda progress: seen.append(progress.done))
    alone = XTBOracle(FAST)
    expected = [np.nan if text in ("nonsense", "C1#CC1") else alone(text).values["gap"] for text in smiles]
    np.testing.assert_allclose(labels["gap"], expected)
    assert labels.smiles == tuple(smiles)
    assert [text for text, _ in labels.labelled] == ["CCO", "C=C", "O", "CCO"]
    assert labels.failures == {
        "nonsense": "no molecule: RDKit reads none there",
        "C1#CC1": "no embedding: RDKit finds no geometry; the molecule may be too strained to exist",
    }
    assert reasons(list(labels.failures.values())) == {"no molecule": 1, "no embedding": 1}
    assert len(seen) == 5  # one is asked for twice
    assert len(labels.load.load) == 2 and labels.load.gamma >= 1
    assert 0 < labels.seconds <= sum(labels.load.load) + 1e-4
    assert len(label([], XTBOracle(FAST))) == 0


def test_a_killed_worker_costs_one_more_attempt_and_no_molecule(tmp_path: Path) -> None:
    smiles = ["C", "CC", DEADLY, "CCC", "CO", "CN"]
    oracle = CountingOracle(tmp_path, FAST)
    labels = label(smiles, oracle, workers=2, journal=tmp_path / "journal.jsonl")
    assert not labels.failures
    assert [entry.attempts for entry in labels.entries] == [1, 1, 2, 1, 1, 1]
    assert sorted(oracle.begun()) == sorted([*smiles, DEADLY])
    lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert sorted(line["smiles"] for line in lines[1:]) == sorted(smiles)


def test_a_molecule_that_takes_too_long_is_given_up() -> None:
    scheduling = SchedulingConfig(lease=LeaseConfig(seconds=3.0, attempts=1))
    labels = label([SLOW, "C"], SlowOracle(FAST), workers=1, scheduling=scheduling)
    assert list(labels.failures) == [SLOW]
    assert labels.failures[SLOW].startswith("no result: not done in 3")
    assert labels["gap"][1] == CheapOracle(FAST)("C").values["gap"]


def test_a_journal_spares_what_is_known(tmp_path: Path) -> None:
    path, folder = tmp_path / "sub" / "journal.jsonl", tmp_path
    first = label(["C", "CC", "bad"], CountingOracle(folder, FAST), journal=path)
    before = CountingOracle(folder, FAST).begun()
    labels = label(["CO", "CC", "bad", "C"], CountingOracle(folder, FAST), journal=path)
    assert CountingOracle(folder, FAST).begun() == [*before, "CO"]
    assert [labels["gap"][k] for k in (3, 1)] == first["gap"][:2].tolist()
    assert labels.failures == first.failures
    again = label(["bad", "C"], CountingOracle(folder, FAST), journal=path)
    assert again.load is None and again["gap"][1] == first["gap"][0]


def test_a_last_line_that_was_cut_short_is_done_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    smiles = ["CCC", "CC", "C"]  # the largest is done first
    whole = label(smiles, CheapOracle(FAST), journal=path)
    content = path.read_bytes()
    last = content[:-1].rfind(b"\n") + 1
    for cut in (last, last + 1, len(content) - 1):
        path.write_bytes(content[:cut])
        with Journal(path, FAST) as journal:
            assert list(journal.entries) == ["CCC", "CC"]
        assert label(smiles, CheapOracle(FAST), journal=path)["gap"].tolist() == whole["gap"].tolist() == [3, 2, 1]
        assert len(path.read_text().splitlines()) == 4
    for cut in (0, 5):  # not even its first line
        path.write_bytes(content[:cut])
        assert label(["C"], CheapOracle(FAST), journal=path)["gap"].tolist() == [1.0]


def test_values_that_are_none_come_back_from_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    label(["C", "!"], CheapOracle(FAST), journal=path)
    labels = label(["!", "C"], CheapOracle(FAST), journal=path)
    assert np.isnan(labels["lumo"]).all() and labels["gap"][1] == 1.0
    assert labels.entries[0].error == "no molecule: it shouts"


def test_what_failed_by_chance_is_tried_again(tmp_path: Path) -> None:
    """A worker that died said nothing about the molecule; an oracle that gave it up did."""
    path = tmp_path / "journal.jsonl"
    with Journal(path, FAST) as journal:
        journal.add("C", Entry(None, "no result: the worker's process was killed", 0.1, 2))
        journal.add("N", Entry(None, "no embedding: told so", 0.1, 1))
    for _ in range(2):
        labels = label(["C", "N"], CheapOracle(FAST), journal=path)
        assert labels["gap"][0] == 1.0 and labels.failures == {"N": "no embedding: told so"}
    assert len(path.read_text().splitlines()) == 4


def test_journals_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    label(["C"], CheapOracle(FAST), journal=path)
    with pytest.raises(ConfigError, match=r"another configuration \(fmax: 0.2 became 0.05; max_steps: 300 became 9\)"):
        Journal(path, OracleConfig(conformers=1, max_steps=9))
    path.write_text("smiles,gap\nC,1\n")
    with pytest.raises(HydrasurrError, match="is no journal of labels: choose another file"):
        Journal(path, FAST)
    label(["C"], CheapOracle(FAST), journal=tmp_path / "other")
    broken = (tmp_path / "other").read_text() + "{}\n"
    (tmp_path / "other").write_text(broken)
    with pytest.raises(HydrasurrError, match="line 3: not a line"):
        Journal(tmp_path / "other", FAST)


def test_a_killed_labelling_goes_on_and_does_nothing_twice(tmp_path: Path) -> None:
    """The whole process is killed by -9 when three molecules are in the journal."""
    smiles = ["C" * n for n in range(1, 9)]
    script = f"""
from pathlib import Path
from hydrasurr.rl.oracle.config import OracleConfig
from hydrasurr.rl.oracle.labelling import label
from tests.rl.oracle.oracles import CountingOracle
label({smiles}, CountingOracle(Path({str(tmp_path)!r}), OracleConfig(conformers=1, fmax=0.2)), workers=1,
      journal={str(tmp_path / "journal.jsonl")!r})
"""
    path = tmp_path / "journal.jsonl"
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    while process.poll() is None and (not path.exists() or path.read_bytes().count(b"\n") < 4):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with Journal(path, FAST) as journal:
        kept = list(journal.entries)
    assert len(kept) >= 3
    before = len(CountingOracle(tmp_path).begun())
    labels = label(smiles, CountingOracle(tmp_path, FAST), journal=path)
    assert not labels.failures and len(labels) == 8
    assert not set(kept) & set(CountingOracle(tmp_path).begun()[before:])
    assert sorted(set(CountingOracle(tmp_path).begun())) == smiles


def test_larger_molecules_are_expected_to_take_longer() -> None:
    small, large, flexible = (task_of(text) for text in ("C", "c1ccccc1", "CCCCCC"))
    assert small.hint < large.hint < flexible.hint
    assert large.features == pytest.approx((np.log(7), 0.0, 1.0))
    assert flexible.features == pytest.approx((np.log(7), np.log(4), 0.0))
    strange = tasks_of(["nonsense", "", "[H+]"])
    assert {len(task.features) for task in strange} == {3}
    assert all(task.hint > 0 for task in strange)
    atoms = Chem.AddHs(Chem.MolFromSmiles("CCCCCC")).GetNumAtoms()
    assert flexible.hint == pytest.approx(2e-4 * atoms**2.3)
