"""`hydrasurr scaling` as a person types it: real processes, a real data set."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hydrasurr.errors import HydrasurrError
from hydrasurr.launcher import Ranks
from hydrasurr.scaling.command import Options, _check, scaling
from hydrasurr.scaling.world import parse_ranks, rank_counts, ranks_at_hand
from hydrasurr.stores import open_store
from hydrasurr.training.config import RunConfig
from hydrasurr.training.folder import RunFolder
from hydrasurr.training.run import Job
from hydrasurr.training.tasks import choose_task
from tests.runs import command, ranked, run_config, start, write_config

MINIMAL = ["--updates", "2", "--repeats", "2", "--warmup", "1", "--max-message-mb", "0.005", "--max-gpus", "8"]


def _run(process: subprocess.Popen) -> tuple[str, str]:
    out, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    return out, errors


def _row(text: str, name: str) -> list[str]:
    """The cells of the first row of that name."""
    line = next(line for line in text.splitlines() if line.startswith(name + " "))
    return line.removeprefix(name).split()


def test_two_ranks_of_its_own(dataset: Path, tmp_path: Path) -> None:
    """Started plainly: two processes are started, and what they print is what they write."""
    training = {"batch_size": 16, "accumulate": 2, "device": "cpu"}
    config = write_config(tmp_path / "run.json", dataset, training=training)
    arguments = command("scaling", config, "--ranks", "2", "--network", "measured", "--out", "result", *MINIMAL)
    out, errors = _run(start(arguments, tmp_path))
    assert errors.count("measuring weak scaling, 2 ranks with 32 graphs a step") == 1

    document = json.loads((tmp_path / "result/scaling.json").read_text())
    assert document["ranks"] == {"launcher": "torchrun", "started": 2, "device": "cpu"}
    assert document["machine"]["packages"]["torch"] and document["run"]["training"]["batch_size"] == 16
    measured = document["measured"]
    points = [(p["kind"], p["ranks"], p["graphs"]) for p in measured["raw"]["points"]]
    assert points == [("single", 1, 32), ("single", 1, 16), ("single", 1, 8), ("strong", 2, 16), ("weak", 2, 32)]
    for point in measured["raw"]["points"]:
        for rank in point["together"]:
            assert len(rank["seconds"]) == 2 and all(len(block) == 2 and min(block) > 0 for block in rank["seconds"])
            assert all(len(set(map(len, (blocks, rank["seconds"])))) == 1 for blocks in rank["phases"].values())
    strong, weak = measured["strong"], measured["weak"]
    assert strong[0]["step"] == weak[0]["step"]
    assert strong[1]["sigma_load"] > 0 and strong[1]["gamma"] > 1
    assert all(row["phases"][name]["mean"] > 0 for row in strong for name in ("load", "forward", "backward"))

    # The table shows the numbers of the file.
    for rows in (strong, weak):
        cells = _row(out, f"{rows[1]['kind']} 2")
        assert float(cells[1].replace(",", "")) == pytest.approx(rows[1]["step"]["value"] * 1e3, rel=0.1)
        assert float(cells[7].rstrip("%")) == pytest.approx(100 * rows[1]["efficiency"]["value"], rel=0.01)
        assert float(cells[-2]) == pytest.approx(rows[1]["sigma_load"], rel=0.01)
    forecast = document["forecast"]
    assert (
        forecast["network"] == "measured"
        and forecast["computation"]["source"] == "measured on one rank (cpu) of this machine"
    )
    assert [row["ranks"] for row in forecast["rows"]] == [1, 2, 4, 8]
    assert forecast["rows"][0]["weak_step"]["value"] == pytest.approx(weak[0]["step"]["value"])
    assert float(_row(out.split("FORECAST")[1], "1")[1]) == pytest.approx(weak[0]["step"]["value"] * 1e3, rel=0.01)

    gradient = measured["raw"]["gradient_bytes"]
    assert {times["ranks"] for times in measured["all_reduce"]} == {2}
    assert gradient in {times["bytes"] for times in measured["all_reduce"]}
    for model in document["fitted"]["all_reduce"]["models"].values():
        assert model["alpha"]["value"] >= 0 and model["alpha"]["error"] >= 0
    assert not document["fitted"]["all_reduce"]["distinguishable"]
    assert (tmp_path / "result/scaling.png").stat().st_size > 10_000
    assert "<svg" in (tmp_path / "result/scaling.svg").read_text()


def test_ranks_of_a_launcher(dataset: Path, tmp_path: Path) -> None:
    """Under torchrun its ranks are used, and one rank alone is measured while the other waits."""
    config = write_config(tmp_path / "run.json", dataset, training={"batch_size": 16, "device": "cpu"})
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    out, _ = _run(start([*launcher, *ranked("scaling", config, *MINIMAL)[1:]], tmp_path))
    document = json.loads((tmp_path / "scaling/tiny/scaling.json").read_text())
    assert [row["ranks"] for row in document["measured"]["weak"]] == [1, 2]
    assert document["forecast"]["network"]["name"].startswith("Perlmutter")
    assert out.count("FORECAST, not measured: weak scaling") == 1


def test_an_interrupt_ends_all_ranks(dataset: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path / "run.json", dataset, training={"device": "cpu"})
    process = start(command("scaling", config, "--ranks", "2", "--updates", "100000"), tmp_path)
    assert process.stderr is not None
    while "measuring" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)  # ends when nobody holds the pipes any more
    assert process.returncode == 130
    assert not (tmp_path / "scaling").exists()


@pytest.mark.parametrize(
    ("options", "training", "message"),
    [
        ({"ranks": "1,64"}, {}, r"training\.batch_size is 32, so strong scaling leaves some of 64 ranks without"),
        (
            {"ranks": "16"},
            {},
            r"a step of 16 ranks with 32 graphs each takes 512 graphs.*has 320.*training\.batch_size=20",
        ),
        ({"ranks": "two"}, {}, "--ranks two: expected rank counts such as 1,2,4"),
        ({"ranks": "0"}, {}, "a rank count is at least 1"),
        ({"ranks": "1", "network": "measured"}, {}, "at least two ranks"),
        ({"network": "sumit"}, {}, "did you mean 'summit'"),
        ({"model": "rings"}, {}, "--all-reduce rings is no model; did you mean 'ring'"),
        ({"fixed_ms": 3.0}, {}, "--fixed-ms is a part of the time given with --compute-ms"),
    ],
)
def test_what_cannot_be_measured_is_told_before_anything_starts(
    dataset: Path, tmp_path: Path, options: dict, training: dict, message: str
) -> None:
    config = RunConfig.model_validate(run_config(dataset, training={"device": "cpu", **training}))
    with pytest.raises(HydrasurrError, match=message):
        scaling(config, Options(**options), tmp_path / "out", [])
    assert not (tmp_path / "out").exists()


def test_a_missing_data_set_is_told(tmp_path: Path) -> None:
    config = RunConfig.model_validate(run_config(tmp_path / "nowhere.bp"))
    with pytest.raises(HydrasurrError, match=r"no data set at '.*nowhere\.bp'"):
        scaling(config, Options(), tmp_path / "out", [])


def test_more_ranks_than_a_launcher_started_are_refused(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    config = RunConfig.model_validate(run_config(dataset, training={"device": "cpu"}))
    with pytest.raises(HydrasurrError, match="asks for 4 ranks, but torchrun started 2"):
        scaling(config, Options(ranks="4"), tmp_path / "out", [])


@pytest.mark.parametrize("launched", [False, True])
def test_more_ranks_than_cores_are_warned_of(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launched: bool
) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")

    def warnings(threads: int) -> list[str]:
        config = RunConfig.model_validate(run_config(dataset, training={"device": "cpu", "threads": threads}))
        store = open_store(dataset)
        task = choose_task(config, store.info)
        job = Job(config, RunFolder(tmp_path), store, task, Ranks(world_size=2), torch.device("cpu"))
        return _check(job, [1, 2], launched)

    (warning,) = warnings(threads=10_000)
    assert "2 ranks with 10000 threads each on cores for 1" in warning
    if ranks_at_hand(torch.device("cpu"), 1) > 1:
        assert warnings(threads=1) == []


def test_rank_counts() -> None:
    assert rank_counts(1) == [1]
    assert rank_counts(6) == [1, 2, 4, 6]
    assert rank_counts(1024)[-1] == 1024 and len(rank_counts(1024)) == 11
    assert parse_ranks(None, 3) == [1, 2, 3]
    assert parse_ranks("4,2", 3) == [1, 2, 4]
    assert ranks_at_hand(torch.device("cpu"), 10_000) == 1
