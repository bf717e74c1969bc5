"""The command `hydrasurr` as a newcomer types it, rightly and wrongly."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from pathlib import Path

import pytest

from tests.runs import command, environment, write_config


def _run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(*arguments), cwd=cwd, env=environment(), capture_output=True, text=True, timeout=240
    )


def _ok(*arguments: str | Path, cwd: Path) -> str:
    run = _run(*arguments, cwd=cwd)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def work(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run in runs/tiny."""
    folder = tmp_path_factory.mktemp("work")
    write_config(folder / "run.json", dataset)
    shown = _ok("train", "run.json", "--set", "training.epochs=1", cwd=folder)
    assert "gap" in shown and "eV" in shown
    assert "runs/tiny/report.html" in shown
    return folder


def test_predict_a_few(work: Path) -> None:
    rows = list(csv.reader(io.StringIO(_ok("predict", "runs/tiny", "--smiles", "CCO", "--smiles", "?", cwd=work))))
    assert rows[0] == ["smiles", "gap [eV]", "reason"]
    assert rows[1][0] == "CCO" and float(rows[1][1]) and rows[1][2] == ""
    assert rows[2] == ["?", "", "SMILES syntax error"]


def test_predict_a_table_keeps_rows_and_columns(work: Path) -> None:
    (work / "in.csv").write_text('name,SMILES\n"a, b",CCO\nbad,xx\nshort\n"quote ""x""",c1ccccc1\n')
    _ok("predict", "runs/tiny", "--csv", "in.csv", "--column", "SMILES", "--out", "out.csv", cwd=work)
    with (work / "out.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["name", "SMILES", "gap [eV]", "reason"]
    assert [row[0] for row in rows[1:]] == ["a, b", "bad", "short", 'quote "x"']
    assert [bool(row[2]) for row in rows[1:]] == [True, False, False, True]
    assert [row[3] for row in rows[2:4]] == ["SMILES syntax error", "empty SMILES"]
    (work / "in.smi").write_text("CCO ethanol\nc1ccccc1\n")
    assert "CCO,ethanol," in _ok("predict", "runs/tiny", "--csv", "in.smi", cwd=work)


def test_evaluate_export_and_report(work: Path) -> None:
    assert "gap" in _ok("evaluate", "runs/tiny", "--split", "test", cwd=work)
    assert "model.safetensors" in _ok("export", "runs/tiny", "--out", "model.safetensors", cwd=work)
    same = [_ok("predict", model, "--smiles", "CCO", cwd=work) for model in ("runs/tiny", "model.safetensors")]
    assert same[0] == same[1]
    (work / "runs/tiny/report.html").unlink()
    _ok("report", "runs/tiny", cwd=work)
    assert (work / "runs/tiny/report.html").exists()


def test_config_schema_and_check(work: Path) -> None:
    assert "TrainingConfig" in json.loads(_ok("config", "schema", cwd=work))["$defs"]
    assert json.loads(_ok("config", "check", "run.json", cwd=work))["training"]["loss"] == "mae"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "none.json"), "no file 'none.json'"),
        (("train", "run.json", "--set", "training.epoch=1"), "did you mean 'epochs'?"),
        (("train", "run.json"), "holds a run already"),
        (("train", "run.json", "--time-limit", "soon", "--out", "x"), "expected a duration"),
        (("evaluate", "nowhere"), "no model file 'nowhere'"),
        (("evaluate", "runs/tiny", "nowhere.bp"), "no data set at 'nowhere.bp'"),
        (("evaluate", "runs/tiny", "--split", "tests"), "no split 'tests'"),
        (("evaluate", "runs/tiny", "nowhere.bp", "--out", "no/such/x.csv"), "no folder 'no/such'; make it, or choose"),
        (("evaluate", "runs/tiny", "nowhere.bp", "--out", "runs"), "cannot write 'runs', which is a folder"),
        (("export", "runs/tiny", "--out", "x.safetensors", "--aot", "x"), "give either --out"),
        (("predict", "runs/tiny"), "give either --smiles"),
        (("predict", "runs/tiny", "--csv", "run.json"), "cannot tell the format of 'run.json'"),
        (("predict", "runs/tiny", "--csv", "nothing.csv"), "cannot read 'nothing.csv'"),
        (("predict", "runs/tiny", "--csv", "head.csv"), "has no column 'smiles'; did you mean 'smile'?"),
        (("predict", "runs/tiny", "--smiles", "C", "--device", "cuda:77"), "device"),
        (("predict", "runs/tiny", "--smiles", "C", "--out", "no/such/folder/x.csv"), "no/such/folder"),
    ],
)
def test_mistakes_are_explained_in_a_line_or_two(work: Path, arguments: tuple[str, ...], message: str) -> None:
    (work / "head.csv").write_text("smile\nC\n")
    run = _run(*arguments, cwd=work)
    assert run.returncode == 1
    assert message in run.stderr
    assert run.stderr.startswith("error: ")
    assert "Traceback" not in run.stderr
