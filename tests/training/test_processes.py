"""Runs in processes of their own: killed, stopped, on several ranks."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from hydrasurr.training import checkpoint
from hydrasurr.training.trainer import CONSENSUS_STEPS
from tests.runs import command, environment, ranked, start, write_config


def _finish(process: subprocess.Popen) -> str:
    """Wait, and return what was written to stderr; the process must have succeeded."""
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    return errors


def _assert_same_weights(one: Path, other: Path) -> None:
    a, b = load_file(one / "surrogate.safetensors"), load_file(other / "surrogate.safetensors")
    for name in a:
        assert torch.equal(a[name], b[name]), name


def _assert_same_records(one: Path, other: Path) -> None:
    records = [
        [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()] for folder in (one, other)
    ]
    for a, b in zip(*records, strict=True):
        assert (a["epoch"], a["val"], a["train"]) == (b["epoch"], b["val"], b["train"])


TRAINING = {
    "epochs": 3,
    "batch_size": 16,
    "ema_decay": 0.9,
    "checkpoint_minutes": 1e-9,  # after every step
    "optimizer": {"lr": 0.005},
}


@pytest.fixture(scope="module")
def uninterrupted(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nobody disturbed, with its configuration beside it."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    config = write_config(folder / "run.json", dataset, training=TRAINING, model={"dropout": 0.1})
    _finish(start(command("train", config, "--out", folder / "run"), folder))
    return folder


def _signalled(moment: str, count: int, number: signal.Signals, arguments: list[str], cwd: Path) -> subprocess.Popen:
    """Run the command, which sends itself a signal; see tests.signalled."""
    driver = [sys.executable, "-m", "tests.signalled", moment, str(count), number.name]
    return start([*driver, *arguments], cwd)


def _killed(moment: str, count: int, arguments: list[str], cwd: Path) -> dict[str, Any]:
    """Run the command until it gets kill -9, and return where its latest checkpoint stands."""
    process = _signalled(moment, count, signal.SIGKILL, arguments, cwd)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == -signal.SIGKILL, errors
    return checkpoint.load(cwd / "run" / "checkpoints" / "latest.pt")["progress"]


def _train(config: Path) -> list[str]:
    return ["train", str(config), "--out", "run", "--resume"]


@pytest.mark.parametrize(("moment", "checkpoints"), [("checkpoint", 1), ("replace", 8), ("checkpoint", 20)])
def test_killed_and_resumed_equals_uninterrupted(
    uninterrupted: Path, tmp_path: Path, moment: str, checkpoints: int
) -> None:
    """kill -9 around the writing of a checkpoint; then once more; bit for bit the same."""
    train, steps = _train(uninterrupted / "run.json"), 0
    for _ in range(2):
        place = _killed(moment, checkpoints, train, tmp_path)
        steps += checkpoints - (moment == "replace")
        assert not place["finished"] and place["updates"] == steps
    _finish(start(command(*train), tmp_path))
    _assert_same_weights(uninterrupted / "run", tmp_path / "run")
    _assert_same_records(uninterrupted / "run", tmp_path / "run")


@pytest.mark.parametrize(("moment", "count", "epoch"), [("record", 2, 1), ("checkpoint", 40, 2)])
def test_killed_at_the_end_of_an_epoch_it_is_told_once(
    uninterrupted: Path, tmp_path: Path, moment: str, count: int, epoch: int
) -> None:
    """Between the record of the second epoch and its checkpoint, and right after that."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train = _train(uninterrupted / "run.json")
    assert _killed(moment, count, train, tmp_path)["epoch"] == epoch
    _finish(start(command(*train), tmp_path))
    _assert_same_records(uninterrupted / "run", tmp_path / "run")
    losses = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload().Scalars("loss/train")
    assert [loss.step for loss in losses] == [1, 2, 3]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_checkpoints_and_ends_cleanly(uninterrupted: Path, tmp_path: Path, number: signal.Signals) -> None:
    train = _train(uninterrupted / "run.json")
    process = _signalled("checkpoint", 5, number, train, tmp_path)
    assert f"stopped by signal {number.name}; go on with --resume" in _finish(process)
    assert checkpoint.load(tmp_path / "run" / "checkpoints" / "latest.pt")["progress"]["updates"] == 6
    assert not (tmp_path / "run" / "results.json").exists()
    _finish(start(command(*train), tmp_path))
    _assert_same_weights(uninterrupted / "run", tmp_path / "run")


def test_a_time_limit_checkpoints_and_ends_cleanly(uninterrupted: Path, tmp_path: Path) -> None:
    train = command(*_train(uninterrupted / "run.json"))
    assert "stopped by time limit" in _finish(start([*train, "--time-limit", "0s"], tmp_path))
    assert checkpoint.load(tmp_path / "run" / "checkpoints" / "latest.pt")["progress"]["updates"] == 1
    _finish(start(train, tmp_path))
    _assert_same_weights(uninterrupted / "run", tmp_path / "run")


MPIEXEC = shutil.which("mpiexec", path=sysconfig.get_path("scripts")) or "mpiexec"
LAUNCHERS = {
    "torchrun": [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"],
    "mpirun": [MPIEXEC, "-n"],
}


def _launch(launcher: str, ranks: int, arguments: list[str], cwd: Path) -> None:
    if launcher == "torchrun":
        arguments = arguments[1:]  # it brings its own python
    _finish(start([*LAUNCHERS[launcher], str(ranks), *arguments], cwd))


@pytest.fixture(scope="module")
def one_rank(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on one rank, of a network without batch statistics, with batches of 32, in float64."""
    folder = tmp_path_factory.mktemp("one_rank")
    training = {"epochs": 2, "batch_size": 32, "precision": "fp64"}
    config = write_config(folder / "run.json", dataset, training=training, model={"norm": "layer"})
    _finish(start(command("train", config, "--out", folder / "run"), folder))
    return folder


@pytest.mark.parametrize(("launcher", "ranks"), [("torchrun", 2), ("mpirun", 2), ("torchrun", 4)])
def test_ranks_train_like_one(one_rank: Path, tmp_path: Path, launcher: str, ranks: int) -> None:
    """W ranks with batches of 32/W take the steps of one rank with batches of 32."""
    arguments = ranked("train", one_rank / "run.json", "--out", "run", "--set", f"training.batch_size={32 // ranks}")
    _launch(launcher, ranks, arguments, tmp_path)
    a, b = (load_file(folder / "run" / "surrogate.safetensors") for folder in (one_rank, tmp_path))
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-8, atol=1e-9)
    results = [json.loads((folder / "run" / "results.json").read_text()) for folder in (one_rank, tmp_path)]
    for split in results[0]:
        assert results[0][split]["gap"] == pytest.approx(results[1][split]["gap"], rel=1e-8)
    records = [json.loads((f / "run" / "metrics.jsonl").read_text().splitlines()[0]) for f in (one_rank, tmp_path)]
    assert records[0]["train"]["gap"] == pytest.approx(records[1]["train"]["gap"], rel=1e-8)
    assert records[1]["seconds"]["all_reduce"] > 0


def test_tasks_of_slurm_meet_at_the_first_node(one_rank: Path, tmp_path: Path) -> None:
    """At a port that is drawn from the job's number, here of one that is free."""
    job = next(number for number in range(20_000) if is_free(20_000 + number * 31 % 20_000))
    shared = [f"SLURM_JOB_ID={job}", "SLURM_STEP_ID=0", "SLURM_STEP_NUM_TASKS=2", "SLURM_STEP_NODELIST=localhost"]
    train = ranked("train", one_rank / "run.json", "--out", "run", "--set", "training.batch_size=16")
    places = [[f"SLURM_PROCID={rank}", f"SLURM_LOCALID={rank}"] for rank in (0, 1)]
    for process in [start(["env", *shared, *place, *train], tmp_path) for place in places]:
        _finish(process)
    a, b = (load_file(folder / "run" / "surrogate.safetensors") for folder in (one_rank, tmp_path))
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-8, atol=1e-9)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("localhost", port)) != 0


def test_two_ranks_are_stopped_and_resumed(one_rank: Path, tmp_path: Path) -> None:
    """Both stop at the step on which they agree, within an epoch; resumed, the result is the uninterrupted one."""

    def arguments(out: str) -> list[str]:
        return ranked("train", one_rank / "run.json", "--out", out, "--set", "training.batch_size=8", "--resume")

    _launch("torchrun", 2, arguments("whole"), tmp_path)
    _launch("torchrun", 2, [*arguments("parts"), "--time-limit", "0s"], tmp_path)
    progress = checkpoint.load(tmp_path / "parts" / "checkpoints" / "latest.pt")["progress"]
    assert (progress["epoch"], progress["step"]) == (0, CONSENSUS_STEPS)
    _launch("torchrun", 2, arguments("parts"), tmp_path)
    _assert_same_weights(tmp_path / "whole", tmp_path / "parts")


def test_an_error_on_all_ranks_is_told_and_nothing_hangs(one_rank: Path, tmp_path: Path) -> None:
    arguments = command("train", one_rank / "run.json", "--out", "run", "--set", "data.dataset=nowhere.bp")
    run = subprocess.run(
        [*LAUNCHERS["mpirun"], "2", *arguments],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode != 0
    assert "no data set at 'nowhere.bp'" in run.stderr
    assert "Traceback" not in run.stderr
