"""The report of a design run: numbers of its files, whole pages that need nothing else, at any time of a run."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hydrasurr.errors import HydrasurrError
from hydrasurr.files import append_record, read_records
from hydrasurr.rl.rewards.scores import top_auc
from hydrasurr.rl.running import figures
from hydrasurr.rl.running.folder import DesignFolder
from hydrasurr.rl.running.history_state import history_from
from hydrasurr.rl.running.report import write_report
from hydrasurr.rl.running.run_files import DesignRun
from hydrasurr.strict import read_json
from hydrasurr.tables import significant
from tests.rl.running.designs import LEARNERS, design
from tests.training.test_report import Page

OBJECTIVE = {
    "terms": [
        {"property": {"type": "qed"}, "goal": {"type": "maximise", "low": 0.2}, "weight": 2},
        {"property": {"type": "logp"}, "goal": {"type": "range", "low": -1, "high": 1, "tolerance": 0.5}},
    ],
    "constraints": [{"property": {"type": "sa"}, "at_most": 7.5}],
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> DesignFolder:
    """IMPALA, with an evaluator and an objective of several parts."""
    return design(
        tmp_path_factory.mktemp("report") / "run",
        learner=LEARNERS["impala"],
        objective=OBJECTIVE,
        running={"evaluator": True},
        evaluation={"every": 2, "molecules": 8},
        frames=480,
        top_k=5,
    )


def copy(folder: DesignFolder, path: Path, *without: str) -> DesignFolder:
    shutil.copytree(folder.path, path)
    for name in without:
        (shutil.rmtree if (path / name).is_dir() else Path.unlink)(path / name)
    return DesignFolder(path)


def page_of(folder: DesignFolder) -> Page:
    """Write the report and check what holds for all of them."""
    assert write_report(folder) == folder.report
    page = Page(folder.report.read_text())
    assert len(page.ids) == len(set(page.ids))
    assert page.links and {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert not {"script", "link", "iframe", "img"} & set(page.tags)
    return page


def test_a_finished_run(finished: DesignFolder) -> None:
    page, results = page_of(finished), read_json(finished.results)
    sections = ["Objective", "Learning", "Best molecules", "Time", "Policy lag", "Load of actors", "Rewards"]
    assert page.headings == [*sections, "Configuration"]
    assert "unfinished" not in page.words
    assert f"best molecule {significant(results['best'])}" in page.words
    assert f"mean of best 5 {significant(results['top_5_mean'])}" in page.words
    assert f"top-5 AUC {significant(results['top_5_auc'])}" in page.words
    assert f"molecules {results['molecules']:,}" in page.words
    assert f"actions {results['frames']:,}" in page.words
    for row in results["top"][:24]:
        assert page.words.count(row["smiles"]) >= 2  # a picture, and a row of the table
        assert f"worth {significant(row['worth'])} qed {significant(row['properties'][0])}" in page.words
    assert finished.report.read_text().count("<figcaption>") == min(24, len(results["top"]))
    assert "at most 7.5, else worth 0" in page.words
    assert "1 scores 0" not in page.words and "0.2 scores 0, 1 scores 1 2" in page.words
    for name in ("policy loss", "entropy of the policy (nats)", "evaluations, ± std", "sigma_load", "gamma"):
        assert name in page.words, name


def test_a_run_under_way(finished: DesignFolder, tmp_path: Path) -> None:
    """What is known of molecules is in its latest checkpoint."""
    folder = copy(finished, tmp_path / "run", "results.json", "molecules.csv", "policy.safetensors")
    run, page = DesignRun.read(folder), page_of(folder)
    history = history_from(folder.load_part(0, 1)["history"])
    assert not run.finished
    assert run.results["molecules"] == len(history)
    assert run.results["best"] == history.worth.value.max()
    assert run.results["top_5_auc"] == top_auc(history.worth.value, 5, len(history))
    assert [column["name"] for column in run.results["columns"]] == ["qed", "logp", "sa"]
    assert "Best molecules" in page.headings
    done = read_records(folder.metrics)[-1]["total_frames"]
    assert f"unfinished: {done:,} of 480 actions" in page.words


def test_a_run_that_went_on_after_its_results(finished: DesignFolder, tmp_path: Path) -> None:
    """Resumed for more actions: what was found before does not stand for the end."""
    folder = copy(finished, tmp_path / "run")
    record = read_records(folder.metrics)[-1]
    append_record(folder.metrics, record | {"total_frames": record["total_frames"] + 96})
    assert DesignRun.read(finished).finished
    assert not DesignRun.read(folder).finished
    page_of(folder)


def test_before_the_first_checkpoint(finished: DesignFolder, tmp_path: Path) -> None:
    folder = copy(finished, tmp_path / "run", "results.json", "molecules.csv", "policy.safetensors", "checkpoints")
    page = page_of(folder)
    last = read_records(folder.metrics)[-1]
    assert f"mean of best 5 {significant(last['best'])}" in page.words
    assert f"molecules {last['evaluations']:,}" in page.words
    assert "Best molecules" not in page.headings and "Time" in page.headings
    folder.metrics.unlink()
    folder.evaluations.unlink()
    folder.environment.unlink()
    page = page_of(folder)
    assert page.headings == ["Objective", "Learning", "Configuration"]
    assert "No update has been recorded yet." in page.words


@pytest.mark.parametrize("learner", ["ppo", "apex"])
def test_other_learners(learner: str, small_run: Callable[[str], DesignFolder]) -> None:
    """They report other numbers, and one of them cannot lag."""
    words = page_of(small_run(learner)).words
    assert ("played by its newest weights" in words) == (learner == "ppo")
    assert ("mean value of actions taken" in words) == (learner == "apex")


def test_a_learner_that_tells_nothing(finished: DesignFolder, tmp_path: Path) -> None:
    """As the random policy; and no episode has ended yet."""
    folder = copy(finished, tmp_path / "run", "evaluations.jsonl")
    silent = {"loss": {}, "episodes": 0, "objective": None, "objective_std": None, "length": None}
    records = [record | silent for record in read_records(folder.metrics)]
    folder.metrics.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert "policy loss" not in page_of(folder).words


def test_several_learners_tell_what_they_sent(finished: DesignFolder, tmp_path: Path) -> None:
    folder = copy(finished, tmp_path / "run")
    folder.latest.write_text(json.dumps(read_json(folder.latest) | {"learners": 2}))
    sent = {"bytes_sent": {"local": 0, "global": 3_000_000}, "exposed_seconds": 0.5, "all_reduce_seconds": 0.75}
    records = [record | sent for record in read_records(folder.metrics)]
    folder.metrics.write_text("".join(json.dumps(record) + "\n" for record in records))
    page = page_of(folder)
    updates = sum(record["updates"] for record in records)
    assert "Communication" in page.headings
    total, each = 3 * len(records), 3 * len(records) / updates
    assert f"learners or nodes {significant(total)} MB, {significant(each)} MB for each update" in page.words
    assert "average gradients" in page.words and "sent within nodes" not in page.words


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(HydrasurrError, match=r"holds no run: it has no config\.json"):
        write_report(DesignFolder(tmp_path))


# -- figures -------------------------------------------------------------------------------------------


def test_curves_are_the_records(finished: DesignFolder) -> None:
    records, evaluations = read_records(finished.metrics), read_records(finished.evaluations)
    (ax,) = figures.objective(records, evaluations).axes
    known = [(r["total_frames"], r["objective"]) for r in records if r["objective"] is not None]
    assert ax.get_lines()[0].get_xydata().tolist() == [list(pair) for pair in known]
    found = [[e["total_frames"], e["objective"]] for e in evaluations]
    assert found and ax.get_lines()[1].get_xydata().tolist() == found


def test_the_best_so_far(finished: DesignFolder) -> None:
    with finished.molecules.open() as file:
        worth = np.array([float(row["worth"]) for row in csv.DictReader(file)])
    (ax,) = figures.best(worth, (1, 5)).axes
    for line, top in zip(ax.get_lines(), (1, 5), strict=True):
        x, y = line.get_xydata().T
        assert (x[0], x[-1]) == (1, len(worth))
        expected = [np.mean(np.sort(worth[: int(count)])[-top:]) for count in x]
        np.testing.assert_allclose(y, expected)


def test_times_add_up_to_the_whole(finished: DesignFolder) -> None:
    for record in read_records(finished.metrics):
        record["exposed_seconds"] = 0.25 * record["seconds"]["learn"]
        parts = figures.learner_seconds(record)
        assert sum(parts.values()) == pytest.approx(record["seconds"]["all"])
        assert parts["learn"] == pytest.approx(3 * parts["exposed"])
        assert parts.keys() == figures.LEARNER.keys()
