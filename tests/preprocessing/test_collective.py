"""Ranks that write one data set together, which takes an ADIOS2 built with MPI."""

from __future__ import annotations

import pytest

from hydrasurr.stores.bp import adios2_has_mpi
from preprocessing.pipeline import preprocess
from tests.preprocessing.conftest import mpiexec

pytestmark = pytest.mark.skipif(
    not adios2_has_mpi(),
    reason="the installed ADIOS2 was built without MPI; .ci/run runs this file in another environment",
)


@pytest.mark.parametrize("rule", ["random", "scaffold"])
def test_ranks_write_together_what_one_process_writes(
    tmp_path, qm9, write_table, write_card, assert_same, run_command, rule
):
    rows = [("C(C", 1) if k in (3, 600, 1100) else row for k, row in enumerate(qm9[:1200])]
    write_table(tmp_path / "t.csv", ["smiles", "gap"], rows)
    card = write_card(tmp_path, split={"rule": rule})
    preprocess(card, tmp_path / "one.bp", workers=1, show=False)
    run = run_command(tmp_path / "card.json", "--out", tmp_path / "all.bp", launcher=mpiexec(3))
    assert run.returncode == 0, run.stderr
    assert list((tmp_path / "all.bp").glob("data.*")), "no data files"
    assert_same(tmp_path / "one.bp", tmp_path / "all.bp")
    assert (tmp_path / "all.rejects.csv").read_text() == (tmp_path / "one.rejects.csv").read_text()
    assert not list(tmp_path.glob("*.partial*"))


def test_more_ranks_than_chunks(tmp_path, qm9, write_table, write_card, assert_same, run_command):
    write_table(tmp_path / "t.csv", ["smiles", "gap"], qm9[:40])
    preprocess(write_card(tmp_path), tmp_path / "one.bp", workers=1, show=False)
    run = run_command(tmp_path / "card.json", "--out", tmp_path / "all.bp", launcher=mpiexec(3))
    assert run.returncode == 0, run.stderr
    assert_same(tmp_path / "one.bp", tmp_path / "all.bp")


def test_a_bad_row_of_the_last_rank_ends_all_when_strict(tmp_path, qm9, write_table, write_card, run_command):
    write_table(tmp_path / "t.csv", ["smiles", "gap"], [*qm9[:800], ("C(C", 1)])
    write_card(tmp_path)
    run = run_command(tmp_path / "card.json", "--out", tmp_path / "s.bp", "--strict", launcher=mpiexec(3))
    assert run.returncode != 0
    assert "error (rank 2)" in run.stderr and "row 801, 'C(C'" in run.stderr
    assert not (tmp_path / "s.bp").exists()
