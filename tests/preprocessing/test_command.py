"""The command as it is typed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hydrasurr.shipped import find
from hydrasurr.stores import DatasetInfo, open_store
from preprocessing.card import read_card
from preprocessing.pipeline import preprocess
from tests.preprocessing.conftest import ROOT


@pytest.fixture(scope="module")
def folder(tmp_path_factory, qm9, write_table, write_card) -> Path:
    """A data set of 700 molecules with a reject, its card and its table."""
    folder = tmp_path_factory.mktemp("command")
    write_table(folder / "t.csv", ["smiles", "gap"], [("C(", 0), *qm9[:700]])
    card = write_card(folder, description="Some molecules", licence="CC0", source="Anon. (1999)")
    preprocess(card, folder / "t.bp", workers=1, show=False)
    return folder


def test_the_name_of_a_shipped_data_set_is_enough(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = command("esol", "--workers", 1)
    assert code == 0, err
    assert "data set: esol.bp" in out
    assert "featurize: 1,128 rows" in err
    info = open_store(tmp_path / "esol.bp").info
    assert info.graphs == {"train": 902, "val": 113, "test": 113}
    assert info.targets[0].unit == "log10(mol/L)"


def test_files_may_be_named(command, folder, tmp_path):
    code, out, err = command("aisd_homo_lumo", "--file", folder / "t.csv", "--out", tmp_path / "a.bp", "--workers", 1)
    assert code == 0, err
    assert f"1 rows rejected: {tmp_path / 'a.rejects.csv'}" in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["molecules.csv.gz"], 1, "error: 'molecules.csv.gz' is a table; draft a card for it first"),
        (["no_such_card"], 1, "error: no file 'no_such_card'"),
        (["inspct", "x.bp"], 2, "unexpected extra argument"),
        (["qm9_gap"], 1, "How to obtain it: QM9 as a CSV"),
        (["esol", "--workers", "0"], 2, "--workers"),
        (["esol", "--speed", "9"], 2, "--speed"),
        (["esol", "--store", "pickel"], 1, "did you mean 'pickle'"),
        (["inspect", "nowhere.bp"], 1, "error: no data set at 'nowhere.bp'"),
        (["verify", "nowhere.bp"], 1, "error: no data set at 'nowhere.bp'"),
        (["convert", "nowhere.bp", "x.bp", "--store", "bp"], 1, "error: no data set at 'nowhere.bp'"),
    ],
)
def test_errors_are_short(command, tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    found, _, err = command(*arguments)
    assert found == code
    assert message.lower() in " ".join(err.split()).lower()
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_help_loads_nothing_heavy(run_command):
    run = run_command("--help")
    assert run.returncode == 0
    for name in ("run", "inspect", "verify", "convert", "card"):
        assert name in run.stdout
    code = "import sys, preprocessing.cli; print({'rdkit', 'adios2', 'torch', 'numpy'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert loaded.stdout.strip() == "set()"


def test_inspect_shows_what_is_there(command, folder):
    code, out, _ = command("inspect", folder / "t.bp")
    assert code == 0
    for text in (
        "Some molecules",
        "bp, format version 3",
        "CC0",
        "Anon. (1999)",
        "SHA-256",
        "eV",
        "element",
        "val",
    ):
        assert text in out
    info = open_store(folder / "t.bp").info
    for number in (info.graphs["train"], info.nodes["train"], info.degree_histogram[1]):
        assert f"{number:,}" in out
    assert f"{info.statistics[0].mean:,.6g}" in out


def test_inspect_gives_the_header_as_json(command, folder):
    code, out, _ = command("inspect", folder / "t.bp", "--json")
    assert code == 0
    assert DatasetInfo.model_validate_json(out) == open_store(folder / "t.bp").info


def test_verify_finds_a_changed_byte(command, folder, tmp_path):
    assert command("verify", folder / "t.bp")[:2] == (
        0, f"'{folder / 't.bp'}': all 700 graphs in 9 blocks match their checksums\n"
    )  # fmt: skip
    shutil.copytree(folder / "t.bp", tmp_path / "bad.bp")
    train = open_store(folder / "t.bp")["train"]
    wanted = train.read(0, 3).smiles()[2].encode()
    data = (tmp_path / "bad.bp" / "data.0").read_bytes()
    place = data.index(b"".join(smiles.encode() for smiles in train.read(0, 20).smiles()))
    place = data.index(wanted, place)
    (tmp_path / "bad.bp" / "data.0").write_bytes(data[:place] + b"F" + data[place + 1 :])
    code, out, err = command("verify", tmp_path / "bad.bp")
    assert code == 1 and not out
    assert "is damaged" in err
    stop = train.block_offset[1]
    assert f"train, graphs 0 to {stop - 1}: the checksum differs" in err
    assert err.count("graphs 0 to") == err.count(" to ")  # no other block


def test_verify_finds_what_was_cut_off(command, folder, tmp_path):
    shutil.copytree(folder / "t.bp", tmp_path / "cut.bp")
    data = (tmp_path / "cut.bp" / "data.0").read_bytes()
    (tmp_path / "cut.bp" / "data.0").write_bytes(data[: len(data) // 2])
    code, _, err = command("verify", tmp_path / "cut.bp")
    assert code == 1
    assert f"data.0' has {len(data) // 2} bytes, {len(data)} expected" in err


def test_convert_there_and_back(command, folder, tmp_path, assert_same):
    for source, target, kind in (
        (folder / "t.bp", tmp_path / "t.pickle", "pickle"),
        (tmp_path / "t.pickle", tmp_path / "t.inline", "csv"),
        (tmp_path / "t.inline", tmp_path / "back.bp", "bp"),
    ):
        code, out, err = command("convert", source, target, "--store", kind)
        assert (code, out) == (0, f"data set: {target}\n"), err
        assert command("verify", target)[0] == 0
        assert_same(folder / "t.bp", target)
    code, _, err = command("convert", folder / "t.bp", tmp_path / "back.bp", "--store", "bp")
    assert code == 1 and "--force" in err


def test_inspect_and_verify_of_other_stores(command, folder, tmp_path):
    assert command("convert", folder / "t.bp", tmp_path / "t.inline", "--store", "csv")[0] == 0
    assert "csv, format version 3" in command("inspect", tmp_path / "t.inline")[1]
    assert "no checksums" in command("verify", tmp_path / "t.inline")[1]


def test_a_card_for_an_unseen_table(command, esol, tmp_path, write_table, monkeypatch):
    """From a CSV that nobody has seen to a data set without an editor."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()
    rows = [(k, smiles, y, "") for k, (smiles, y) in enumerate(esol[:80])]
    write_table(tmp_path / "raw" / "my table (1).csv", ["id", "Molecule", "log S", "note"], rows)
    code, out, err = command(
        "card",
        "raw/my table (1).csv",
        "--smiles",
        "Molecule",
        "--target",
        "log S:mol/L",
        "--out",
        "cards/my.json",
    )
    assert code == 0, err
    assert "hydrasurr-preprocess cards/my.json" in out
    card = read_card(tmp_path / "cards" / "my.json")
    assert (card.name, card.targets[0].name, card.targets[0].unit) == ("my_table_1_", "log_S", "mol/L")
    assert json.loads((tmp_path / "cards" / "my.json").read_text())["files"] == ["../raw/my table (1).csv"]
    code, _, err = command("cards/my.json", "--workers", 1)
    assert code == 0, err
    assert sum(open_store(tmp_path / "my_table_1_.bp").info.graphs.values()) == 80


def test_a_card_needs_columns_that_exist(command, folder, tmp_path):
    code, _, err = command("card", folder / "t.csv", "--target", "gab", "--out", tmp_path / "c.json")
    assert code == 1 and "has no column 'gab'; did you mean 'gap'?" in err
    assert not (tmp_path / "c.json").exists()
    assert command("card", folder / "nothing.csv", "--out", tmp_path / "c.json")[0] == 1
    code, _, err = command("card", folder / "t.csv", "--target", "gap", "--out", folder / "card.json")
    assert code == 1 and "exists" in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no structure in 'mine.xyz'"),
        ("hello", "no structure can be read from 'mine.xyz': a number of atoms expected, found 'hello'"),
        ("2\n\nH 0 0 0\n", "no structure can be read from 'mine.xyz': the file ends after 1 of 2 atoms"),
        ("1\nenergy=1.0\nQq 0 0 0\n", "no structure can be read from 'mine.xyz': unknown element 'Qq'"),
    ],
)
def test_a_card_needs_a_structure(command, tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.xyz").write_text(text)
    code, _, err = command("card", "mine.xyz")
    assert code == 1 and message in " ".join(err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["mine.xyz"]


def test_a_card_needs_a_place(command, folder, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = command("card", folder / "t.csv", "--target", "gap", "--out", tmp_path / "file" / "c.json")
    assert code == 1 and "cannot write" in err and "choose another --out" in " ".join(err.split())
    assert "Traceback" not in err


def test_shipped_tables_are_small():
    for name in ("qm9_gap_5k", "esol", "ethanol", "3bpa", "silicon"):
        folder = find("datasets", name).parent
        assert sum(file.stat().st_size for file in folder.iterdir()) < 1e6
        assert "Licence:" in (folder / "SOURCE.txt").read_text()
