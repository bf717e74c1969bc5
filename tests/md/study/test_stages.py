"""The folder of a study."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.md.argon.settings import load_study
from hydrasurr.md.study.stages import Result, StudyFolder


def test_force_deletes_the_study_and_nothing_else(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    folder.prepare(load_study(quick=True))
    folder.stage("first", lambda: Result({"a": 1}))
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="--force deletes it"):
        folder.prepare(load_study(quick=True, atoms=500))
    folder.prepare(load_study(quick=True, atoms=500), force=True)
    assert folder.stage("first", lambda: Result({"a": 2})).facts["a"] == 2
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_force_leaves_what_is_no_study(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"name": "a training"}')
    with pytest.raises(HydrasurrError, match="something else than this study"):
        StudyFolder(tmp_path).prepare(load_study(), force=True)
    assert (tmp_path / "config.json").exists()


def test_damaged_settings_are_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"atoms": 8')
    for force in (False, True):
        with pytest.raises(ConfigError, match=r"config.json', line 1, column 12: not JSON"):
            StudyFolder(tmp_path).prepare(load_study(), force=force)
