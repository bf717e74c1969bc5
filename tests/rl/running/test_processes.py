"""Design runs as commands: killed, interrupted, on ranks of torchrun and MPI."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from hydrasurr.files import read_records
from hydrasurr.rl.running.folder import DesignFolder
from tests.rl.running.designs import BASE, assert_same, write
from tests.runs import command, ranked, start

MPIEXEC = str(Path(sysconfig.get_path("scripts")) / "mpiexec")
LONG = {"frames": 96 * 30, "checkpoint_minutes": 0}


def torchrun(ranks: int) -> list[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    return [*launcher, *ranked()[1:]]


def succeed(arguments: list[str], cwd: Path) -> str:
    """What it wrote to standard error."""
    process = start(arguments, cwd)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return errors


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a configuration and the run of it by one learner and actors that are processes of its own."""
    folder = tmp_path_factory.mktemp("plain")
    config = write(folder / "run.json", **LONG)
    succeed(command("design", "train", config, "--out", folder / "run"), folder)
    return folder


def signalled(moment: str, count: int, name: str, arguments: list[str], cwd: Path) -> subprocess.Popen:
    """A command that sends itself a signal, see tests.signalled, in a group of processes of its own."""
    driver = [sys.executable, "-m", "tests.signalled", moment, str(count), name]
    return start([*driver, *arguments], cwd, start_new_session=True)


def test_a_learner_killed_at_any_moment_goes_on_as_if_nothing_had_been(plain: Path, tmp_path: Path) -> None:
    """When the parts of a checkpoint are written, and just before they count."""
    train = ["design", "train", str(plain / "run.json"), "--out", "run", "--resume"]
    for moment, count in (("checkpoint", 3), ("replace", 11)):
        process = signalled(moment, count, "SIGKILL", train, tmp_path)
        _, errors = process.communicate(timeout=300)
        assert process.returncode == -signal.SIGKILL, errors
    succeed(command(*train), tmp_path)
    assert_same(DesignFolder(plain / "run"), DesignFolder(tmp_path / "run"))


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "all:SIGINT", "all:SIGTERM"])
def test_a_signal_stops_with_a_checkpoint(plain: Path, tmp_path: Path, name: str) -> None:
    """To the learner, or to all processes together, as terminals, `timeout` and batch systems send it."""
    train = ["design", "train", str(plain / "run.json"), "--out", "run", "--resume"]
    process = signalled("checkpoint", 3, name, train, tmp_path)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0 and "Traceback" not in errors
    assert f"stopped by signal {name.removeprefix('all:')}; go on with --resume" in errors
    folder = DesignFolder(tmp_path / "run")
    assert not folder.results.exists()
    succeed(command(*train), tmp_path)
    assert_same(DesignFolder(plain / "run"), folder)


def test_an_error_of_a_learner_ends_all_ranks_of_mpi(plain: Path, tmp_path: Path) -> None:
    train = command("design", "train", plain / "run.json", "--out", "run", "--set", "running.executor=mpi")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").write_text("{}")
    process = start([MPIEXEC, "-n", "3", *train], tmp_path)
    _, errors = process.communicate(timeout=100)
    assert process.returncode != 0 and "is not of a design run, so the folder holds something else" in errors


@pytest.mark.parametrize("launcher", ["mpi", "torchrun"])
def test_ranks_play_as_processes_do(plain: Path, tmp_path: Path, launcher: str) -> None:
    """A learner, two actors and an evaluator."""
    ranks = [MPIEXEC, "-n", "4", *ranked()] if launcher == "mpi" else torchrun(4)
    roles = ["--set", f"running.executor={launcher}", "--set", "running.evaluator=true", "--set", "evaluation.every=10"]
    succeed([*ranks, "design", "train", str(plain / "run.json"), "--out", str(tmp_path / "run"), *roles], tmp_path)
    folder = DesignFolder(tmp_path / "run")
    a, b = load_file(DesignFolder(plain / "run").policy), load_file(folder.policy)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert [record["update"] for record in read_records(folder.evaluations)] == [10, 20, 30]


@pytest.mark.parametrize(
    ("launcher", "sections"),
    [("local", {}), ("mpi", {"learners": 2}), ("torchrun", {"learners": 2})],
    ids=["local", "mpi", "torchrun"],
)
def test_two_learners_learn_what_one_does(tmp_path: Path, launcher: str, sections: dict[str, Any]) -> None:
    """With one step of the optimizer for each update, from the same lanes; to rounding: sums are ordered otherwise."""
    learner = {"type": "ppo", "steps": 6, "epochs": 1, "minibatches": 1}
    one = write(tmp_path / "one.json", learner=learner)
    two = write(
        tmp_path / "two.json", learner=learner, running={"lanes": 1, "executor": launcher, "actors": 1, **sections}
    )
    succeed(command("design", "train", one, "--out", tmp_path / "one"), tmp_path)
    ranks = {"local": torchrun(2), "mpi": [MPIEXEC, "-n", "4", *ranked()], "torchrun": torchrun(4)}[launcher]
    succeed([*ranks, "design", "train", str(two), "--out", str(tmp_path / "two")], tmp_path)
    a, b = (load_file(DesignFolder(tmp_path / name).policy) for name in ("one", "two"))
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-4, atol=1e-6)
    records = read_records(DesignFolder(tmp_path / "two").metrics)
    assert [record["total_frames"] for record in records] == [96, 192, 288, 384]
    parameters = sum(tensor.numel() for tensor in b.values())
    assert all(record["bytes_sent"]["global"] == 4 * parameters for record in records)


def test_two_learners_are_stopped_and_resumed(tmp_path: Path) -> None:
    """Each with its own part of the checkpoint, and its own errors of compressed gradients."""
    config = write(tmp_path / "run.json", communication={"compression": "int8", "int8_error_feedback": True})
    train = [*torchrun(2), "design", "train", str(config), "--resume", "--out"]
    succeed([*train, "whole"], tmp_path)
    succeed([*train, "parts", "--time-limit", "0s"], tmp_path)
    assert not DesignFolder(tmp_path / "parts").results.exists()
    succeed([*train, "parts"], tmp_path)
    a, b = (load_file(DesignFolder(tmp_path / name).policy) for name in ("whole", "parts"))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_learners_with_unequally_many_actors_have_equally_many_lanes(tmp_path: Path) -> None:
    """Five ranks: one of the two learners has two actors, the other one."""
    learner = {"type": "ppo", "steps": 6, "epochs": 1, "minibatches": 1}
    config = tmp_path / "run.json"
    config.write_text(json.dumps({**BASE, "learner": learner, "running": {"executor": "torchrun", "molecules": 8}}))
    more = ["--set", "running.learners=2", "--set", "frames=384"]
    succeed([*torchrun(5), "design", "train", str(config), "--out", str(tmp_path / "run"), *more], tmp_path)
    parts = [DesignFolder(tmp_path / "run").load_part(rank, 2) for rank in (0, 1)]
    assert [[lane["number"] for lane in part["lanes"]] for part in parts] == [[0, 1], [2, 3]]
    assert [part["frames"] for part in parts] == [384, 384]


def test_asynchronous_learners_keep_in_step(tmp_path: Path) -> None:
    """Two learners with Ape-X and compressed gradients; each has a shard of the replay."""
    learner = {"type": "apex", "steps": 6, "warm_up": 90, "batch_size": 32, "capacity": 1000}
    sections = {"learner": learner, "communication": {"compression": "int8"}, "running": {"actors": 1}}
    config = write(tmp_path / "run.json", **sections)
    succeed([*torchrun(2), "design", "train", str(config), "--out", str(tmp_path / "run")], tmp_path)
    parts = [DesignFolder(tmp_path / "run").load_part(rank, 2) for rank in (0, 1)]
    assert [part["frames"] for part in parts] == [BASE["frames"]] * 2
    assert all(part["learner"]["replay"]["added"] == BASE["frames"] // 2 for part in parts)
    first, second = (part["learner"]["network"] for part in parts)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_asynchronous_learners_that_throw_rollouts_away_end_together(tmp_path: Path) -> None:
    """Two learners with IMPALA, which take nothing of an older policy, so that they learn from unequally many."""
    learner = {"type": "impala", "steps": 6, "unrolls": 1, "max_lag": 0}
    config = write(tmp_path / "run.json", learner=learner, running={"actors": 2, "lanes": None}, frames=96 * 15)
    succeed([*torchrun(2), "design", "train", str(config), "--out", str(tmp_path / "run")], tmp_path)
    folder = DesignFolder(tmp_path / "run")
    parts = [folder.load_part(rank, 2) for rank in (0, 1)]
    frames = sum(part["own_frames"] for part in parts)
    assert [part["frames"] for part in parts] == [frames] * 2 and frames >= 96 * 15
    assert sum(record["lag"]["discarded"] for record in read_records(folder.metrics)) > 0
    first, second = (part["learner"]["network"] for part in parts)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_too_few_ranks(tmp_path: Path) -> None:
    config = write(tmp_path / "run.json", running={"executor": "mpi", "learners": 2})
    process = start([MPIEXEC, "-n", "3", *command("design", "train", config)], tmp_path)
    _, errors = process.communicate(timeout=100)
    assert process.returncode and "3 ranks are too few for 2 learners" in errors


def test_mistakes_are_told_in_a_line(tmp_path: Path) -> None:
    config = tmp_path / "run.json"
    config.write_text(json.dumps({"name": "x", "learner": {"type": "ppo", "stepz": 3}}))
    process = subprocess.run(
        command("design", "train", config), cwd=tmp_path, capture_output=True, text=True, env=os.environ
    )
    assert process.returncode == 1
    assert "learner.stepz: unknown key; did you mean 'steps'?" in process.stderr and "Traceback" not in process.stderr
