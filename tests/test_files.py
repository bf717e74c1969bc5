"""Files that are whole or not there, stages that are made once, lines of JSON that a crash cuts short."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydrasurr.errors import HydrasurrError
from hydrasurr.files import append_record, is_free, keep_records, read_records, replacing, stage, write_json


def test_a_file_is_the_old_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "file"
    with replacing(path) as temporary:
        temporary.write_text("old")
        assert not path.exists()
    assert path.read_text() == "old"
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half of the n")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new" and [file.name for file in path.parent.iterdir()] == ["file"]


def test_a_folder_is_free_that_somebody_was_killed_in_at_once(tmp_path: Path) -> None:
    assert is_free(tmp_path / "missing") and is_free(tmp_path)
    (tmp_path / "config.json.tmp").touch()
    assert is_free(tmp_path)
    (tmp_path / "config.json").touch()
    assert not is_free(tmp_path)


def test_no_json_that_others_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file", {"loss": float("nan")})
    assert not (tmp_path / "file").exists()


def test_a_stage_is_made_once(tmp_path: Path) -> None:
    path, made = tmp_path / "stages" / "one.json", []

    def make() -> dict[str, int]:
        made.append(1)
        return {"found": len(made)}

    first = stage(path, make)
    assert first["found"] == 1 and first["stage_seconds"] >= 0
    assert stage(path, make) == first and len(made) == 1
    path.write_text('{"found": ')
    with pytest.raises(HydrasurrError, match=r"one\.json'.* not JSON.*; delete it, and it is made again"):
        stage(path, make)


def test_records(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    assert read_records(path) == []
    for epoch in range(4):
        append_record(path, {"epoch": epoch, "name": "Å"})
    with path.open("a") as file:
        file.write('{"epoch": 4, "na')
    assert [record["epoch"] for record in read_records(path)] == [0, 1, 2, 3]
    keep_records(path, lambda record: record["epoch"] < 2)
    append_record(path, {"epoch": 2, "name": "Å"})
    assert read_records(path) == [{"epoch": epoch, "name": "Å"} for epoch in range(3)]
