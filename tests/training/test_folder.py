"""The folder of a run: what a fresh run in place of an old one removes, and what it leaves alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.training.config import load_run_config
from hydrasurr.training.folder import MemberFolder, RunFolder
from hydrasurr.training.tensorboard import Board
from tests.training.test_report import GAP, dataset_info, run_folder


@pytest.mark.parametrize("members", [1, 3])
def test_force_removes_the_run_and_nothing_else(tmp_path: Path, members: int) -> None:
    own = [tmp_path / name for name in ("mine.xyz", "predictions/mine.npz", "checkpoints/mine.pt", "members/0/notes")]
    folder = run_folder(tmp_path, [GAP], members=members)
    for index in range(members):
        member = folder.member(index, members)
        with Board(member.tensorboard, 0):
            pass
        member.latest.parent.mkdir()
        for file in (member.latest, member.best, member.best.with_name(member.best.name + ".tmp")):
            file.touch()
    for file in (folder.surrogate, folder.report):
        file.touch()
    for file in own:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("mine")
    folder.prepare(load_run_config(folder.config), dataset_info([GAP], ""), resume=False, force=True)
    fresh = [folder.config, folder.environment, folder.dataset]
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {*own, *fresh}
    assert not (tmp_path / "tensorboard").exists() and not (tmp_path / "members" / "1").exists()


def test_killed_while_removing_a_run_it_is_still_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what is left of the old one would be taken for the next run's."""
    folder = run_folder(tmp_path, [GAP])
    config, info = load_run_config(folder.config), dataset_info([GAP], "")
    unlink = Path.unlink

    def killed_at_the_results(path: Path, missing_ok: bool = False) -> None:
        if path == folder.results:
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", killed_at_the_results)
        folder.prepare(config, info, resume=False, force=True)
    with pytest.raises(HydrasurrError, match="holds a run already"):
        folder.prepare(config, info, resume=False, force=False)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", [GAP])
    folder = RunFolder(tmp_path)
    folder.config.write_text('{"ensemble": "nve"}')
    for choice in ({"resume": True, "force": False}, {"resume": False, "force": True}):
        with pytest.raises(HydrasurrError, match=r"config.json' is not of a training, .*--out names another"):
            folder.prepare(load_run_config(run.config), dataset_info([GAP], ""), **choice)
    assert folder.config.read_text() == '{"ensemble": "nve"}'
    assert MemberFolder(run.path).records()


def test_a_run_of_an_older_version_goes_on(tmp_path: Path) -> None:
    """Keys that its configuration lacks have their defaults, and no others."""
    run = run_folder(tmp_path, [GAP])
    config = load_run_config(run.config)
    raw = config.model_dump(mode="json")
    del raw["training"]["communication"]["int8_error_feedback"]
    run.config.write_text(json.dumps(raw))
    run.prepare(config, dataset_info([GAP], ""), resume=True, force=False)
    assert load_run_config(run.config) == config
    del raw["training"]["batch_size"]
    run.config.write_text(json.dumps(raw))
    other = load_run_config(run.config, ["training.batch_size=7"])
    with pytest.raises(ConfigError, match=r"training\.batch_size: 128 became 7"):
        run.prepare(other, dataset_info([GAP], ""), resume=True, force=False)
