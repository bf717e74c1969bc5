"""Gradients averaged in every way on real Gloo ranks: what comes out, what is sent, what training makes of it."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp
from torch import Tensor, nn

from hydrasurr.errors import ConfigError
from hydrasurr.launcher import Ranks
from hydrasurr.stores import open_store
from hydrasurr.training import checkpoint
from hydrasurr.training.communication import data_parallel
from hydrasurr.training.config import CommunicationConfig, RunConfig, load_run_config
from hydrasurr.training.folder import RunFolder
from hydrasurr.training.ranks import process_group
from hydrasurr.training.report import write_report
from hydrasurr.training.run import Job
from hydrasurr.training.stop import StopRequest
from hydrasurr.training.tasks import choose_task
from hydrasurr.training.timing import PhaseTimer
from hydrasurr.training.trainer import CONSENSUS_STEPS
from hydrasurr.training.watch import Watcher
from tests.runs import run_config, write_config

CPU = torch.device("cpu")

Section = dict[str, Any]
"""A section `training.communication` of a run's JSON."""

BUCKETS: Section = {"bucket_mb": 1e-6}
WHOLE: dict[str, Section] = {"default": {}, "buckets": BUCKETS, "overlap": {"overlap": True}}
"""Nothing is lost."""
ROUNDED: dict[str, Section] = {"fp16": {"compression": "fp16"}, "bf16": {"compression": "bf16"}}
ROUNDOFF = {"fp16": 2.0**-11, "bf16": 2.0**-8}
"""Largest relative error of rounding to so many bits."""
SMALLEST = 2.0**-25
"""Largest absolute error of rounding to fp16 near zero."""
NODES: dict[str, Section] = {
    "2 + 2": {"hierarchical": True, "ranks_per_node": 2},
    "3 + 1": {"hierarchical": True, "ranks_per_node": 3},
    "one machine": {"hierarchical": True},
    "a rank each": {"hierarchical": True, "ranks_per_node": 1},
}


def _powersgd(rank: int, start: int = 2) -> Section:
    return {"compression": "powersgd", "powersgd_rank": rank, "powersgd_start": start}


# -- what the ranks do --------------------------------------------------------------------------------

STEPS = 4
EXPERIMENTS: dict[int, dict[str, Section]] = {
    2: {**WHOLE, **ROUNDED, "factors": _powersgd(2), "factors later": _powersgd(2, STEPS)},
    4: {
        **WHOLE,
        **NODES,
        **{f"{name}, 2 + 2": ROUNDED[name] | NODES["2 + 2"] | BUCKETS for name in ROUNDED},
        "factors, 3 + 1": _powersgd(4) | NODES["3 + 1"] | BUCKETS,
    },
}
"""Number of ranks -> ways to average the gradients of a small network."""
RUNS: dict[int, dict[str, Section]] = {
    2: {**WHOLE, "buckets": {"bucket_mb": 0.004}, **ROUNDED, "factors": _powersgd(2)},
    4: {"2 + 2": NODES["2 + 2"]},
}
"""Number of ranks -> ways to train."""
RESUMED = {2: ("fp16", "factors"), 4: ("2 + 2",)}
SMALL, LARGE = 24, 400
"""Widths of a network with a thousand weights, and of one whose gradients fill two of torch's own buckets."""
TRAINING = {"epochs": 2, "precision": "fp64", "optimizer": {"lr": 0.005}}
UPDATES = 20
"""Steps an epoch."""


@dataclass(frozen=True)
class Outcome:
    """What so many ranks left behind.

    Attributes
    ----------
    steps : for each rank: experiment -> gradients, bytes sent and number of buckets of each step
    runs : folder of the runs; those resumed are in its subfolder "resumed"
    """

    steps: list[dict[str, dict[str, list]]]
    runs: Path

    @property
    def world_size(self) -> int:
        return len(self.steps)


def _outcome(world_size: int, dataset: Path, out: Path) -> Outcome:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Forked from a process that has imported this module, which is faster than importing it in each.
    multiprocessing.get_context("forkserver").set_forkserver_preload([__name__])
    mp.start_processes(_rank, (world_size, port, dataset, out), nprocs=world_size, start_method="forkserver")
    return Outcome([torch.load(out / f"{rank}.pt", weights_only=True) for rank in range(world_size)], out)


@pytest.fixture(scope="module")
def two(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return _outcome(2, dataset, tmp_path_factory.mktemp("two"))


@pytest.fixture(scope="module")
def four(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return _outcome(4, dataset, tmp_path_factory.mktemp("four"))


@pytest.fixture(scope="module")
def one(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on one rank."""
    folder = tmp_path_factory.mktemp("one")
    _train(_job(Ranks(), dataset, folder, {}))
    return folder


def _rank(rank: int, world_size: int, port: int, dataset: Path, out: Path) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    ranks = Ranks(rank, world_size, rank, "torchrun")
    with process_group(ranks, CPU):
        for name, section in RUNS[world_size].items():
            assert _train(_job(ranks, dataset, out / name, section))
        for name in RESUMED[world_size]:
            job = _job(ranks, dataset, out / "resumed" / name, RUNS[world_size][name])
            assert not _train(job, time_limit=0.0)
            assert _train(job)
        steps = {name: _steps(rank, SMALL, section) for name, section in EXPERIMENTS[world_size].items()}
        if world_size == 2:
            steps |= {f"{name}, large": _steps(rank, LARGE, section) for name, section in WHOLE.items()}
            steps["same again"] = _steps(rank, SMALL, _powersgd(1), [0] * 40)
            steps["deserted"] = _deserted(rank)
        torch.save(steps, out / f"{rank}.pt")


def _job(ranks: Ranks, dataset: Path, folder: Path, section: Section) -> Job:
    """16 graphs a step on any number of ranks; without batch statistics, which each rank takes of its own graphs."""
    training = TRAINING | {"batch_size": 16 // ranks.world_size, "communication": section}
    config = RunConfig.model_validate(run_config(dataset, training=training, model={"norm": "layer"}))
    store = open_store(dataset)
    return Job(config, RunFolder(folder), store, choose_task(config, store.info), ranks, CPU)


def _train(job: Job, time_limit: float | None = None) -> bool:
    job.prepare(resume=True, force=False)
    return job.train_member(0, StopRequest(time_limit), Watcher(False))


class BucketCounter(PhaseTimer):
    """Counts the buckets it is told the time of."""

    count = 0

    def add(self, name: str, seconds: float) -> None:
        super().add(name, seconds)
        self.count += name == "all_reduce"


def _network(width: int, dtype: torch.dtype) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, width - 4)).to(dtype)


def _backward(network: nn.Module, width: int, dtype: torch.dtype, rank: int, seed: int) -> None:
    """Of a batch of one row, so that the gradient of a weight matrix has rank one."""
    torch.manual_seed(1000 * rank + seed)
    network(torch.randn(1, width, dtype=dtype)).square().sum().backward()


def _dtype(section: Section) -> torch.dtype:
    return torch.float32 if section.get("compression") in ROUNDED else torch.float64


def _steps(rank: int, width: int, section: Section, seeds: list[int] | None = None) -> dict[str, list]:
    timer, sent, dtype = BucketCounter(CPU), Counter(), _dtype(section)
    network = _network(width, dtype)
    parallel = data_parallel(network, CommunicationConfig.model_validate(section), timer, sent)
    result: dict[str, list] = {"gradients": [], "sent": [], "buckets": []}
    for seed in seeds or range(STEPS):
        sent.clear()
        timer.count = 0
        _backward(parallel, width, dtype, rank, seed)
        result["gradients"].append([parameter.grad.clone() for parameter in network.parameters()])
        result["sent"].append(dict(sent))
        result["buckets"].append(timer.count)
        network.zero_grad(set_to_none=True)
    return result


def _deserted(rank: int) -> dict[str, list]:
    """Rank 1 is gone when rank 0 wants to average; what rank 0 is told."""
    network = _network(SMALL, torch.float64)
    parallel = data_parallel(network, CommunicationConfig(), PhaseTimer(CPU), Counter())
    if rank == 1:
        return {}
    with pytest.raises(RuntimeError) as error:
        _backward(parallel, SMALL, torch.float64, rank, 0)
    return {"error": [str(error.value)]}


# -- gradients ----------------------------------------------------------------------------------------


def _own_gradients(world_size: int, width: int, dtype: torch.dtype, seed: int) -> list[Tensor]:
    """The gradients of all ranks, computed here: `[ranks, ...]` in float64 for each parameter."""
    gradients = []
    for rank in range(world_size):
        network = _network(width, dtype)
        _backward(network, width, dtype, rank, seed)
        gradients.append([parameter.grad.double() for parameter in network.parameters()])
    return [torch.stack(of_ranks) for of_ranks in zip(*gradients, strict=True)]


def _assert_means(outcome: Outcome, name: str, width: int = SMALL, tolerance: float = 1e-14) -> None:
    for step in range(STEPS):
        own = _own_gradients(outcome.world_size, width, torch.float64, step)
        for rank in outcome.steps:
            for averaged, of_ranks in zip(rank[name]["gradients"][step], own, strict=True):
                torch.testing.assert_close(averaged, of_ranks.mean(0), rtol=0, atol=tolerance * of_ranks.abs().max())


@pytest.mark.parametrize("name", WHOLE)
def test_gradients_sent_whole_are_averaged(two: Outcome, four: Outcome, name: str) -> None:
    _assert_means(two, name)
    _assert_means(two, f"{name}, large", LARGE)
    _assert_means(four, name)


@pytest.mark.parametrize("name", NODES)
def test_averages_by_node_are_averages(four: Outcome, name: str) -> None:
    _assert_means(four, name)


def test_buckets(two: Outcome) -> None:
    """On CPUs one, unless asked for more. torch has one in the first step and then as many as asked for: here at most
    one a parameter."""
    buckets = {name: steps.get("buckets") for name, steps in two.steps[0].items()}
    assert buckets["default"] == buckets["default, large"] == buckets["overlap"] == [1, 1, 1, 1]
    assert buckets["overlap, large"] == [1, 2, 2, 2]
    assert buckets["buckets"] == buckets["buckets, large"] == [1, 4, 4, 4]


@pytest.mark.parametrize("compression", ROUNDED)
@pytest.mark.parametrize("nodes", ["", ", 2 + 2"])
def test_rounded_gradients_are_off_by_rounding(two: Outcome, four: Outcome, compression: str, nodes: str) -> None:
    """Each of W gradients is rounded once and then in up to W - 1 sums: W roundings of at most their mean size."""
    outcome, u = four if nodes else two, ROUNDOFF[compression]
    for step in range(STEPS):
        own = _own_gradients(outcome.world_size, SMALL, torch.float32, step)
        averaged = outcome.steps[0][compression + nodes]["gradients"][step]
        for got, of_ranks in zip(averaged, own, strict=True):
            error = (got.double() - of_ranks.mean(0)).abs()
            bound = outcome.world_size * (u * of_ranks.abs().mean(0) + SMALLEST)
            assert (error <= bound).all()
            assert error.max() > 0
        for rank in outcome.steps[1:]:
            assert all(map(torch.equal, averaged, rank[compression + nodes]["gradients"][step]))


def test_factors_with_as_many_columns_as_the_gradient_has_ranks_are_exact(two: Outcome, four: Outcome) -> None:
    """Each process adds a matrix of rank one; what is left is the 1e-8 that keeps zero gradients from dividing by 0."""
    _assert_means(two, "factors later")
    _assert_means(two, "factors", tolerance=1e-6)
    _assert_means(four, "factors, 3 + 1", tolerance=1e-12)
    assert two.steps[0]["factors"]["sent"][-1]["global"] < two.steps[0]["factors"]["sent"][0]["global"] / 4


def test_what_factors_miss_is_sent_later(two: Outcome) -> None:
    """One column for a gradient of rank two, always the same: steps are wrong, but their mean tends to it."""
    exact = torch.cat([of_ranks.mean(0).flatten() for of_ranks in _own_gradients(2, SMALL, torch.float64, 0)])
    steps = two.steps[0]["same again"]["gradients"][2:]  # without those sent whole
    sent = torch.stack([torch.cat([gradient.flatten() for gradient in step]) for step in steps])
    assert (sent - exact).norm(dim=1).min() > 0.3 * exact.norm()
    assert (sent.mean(0) - exact).norm() < 0.1 * exact.norm()


def test_a_rank_that_is_gone_is_an_error(two: Outcome) -> None:
    (error,) = two.steps[0]["deserted"]["error"]
    assert "connection" in error.lower()  # what Gloo says of it


# -- bytes --------------------------------------------------------------------------------------------


def _sizes(width: int) -> list[torch.Size]:
    return [parameter.shape for parameter in _network(width, torch.float64).parameters()]


def _sent(outcome: Outcome, name: str) -> list[dict[str, int]]:
    """Bytes that each rank sent in the last step."""
    return [rank[name]["sent"][-1] for rank in outcome.steps]


def test_bytes_sent(two: Outcome, four: Outcome) -> None:
    numbers = sum(size.numel() for size in _sizes(SMALL))
    for outcome, name in ((two, "default"), (two, "buckets"), (two, "overlap"), (four, "default")):
        assert _sent(outcome, name) == [{"global": 8 * numbers}] * outcome.world_size
    for name in ROUNDED:  # fp32 gradients: half of 4 bytes a number
        assert _sent(two, name) == [{"global": 2 * numbers}] * 2


def test_bytes_sent_by_node(four: Outcome) -> None:
    """One rank a node uses the network; one with its node to itself nothing else."""
    size = 8 * sum(size.numel() for size in _sizes(SMALL))
    first, other, alone = {"global": size, "local": size}, {"local": size}, {"global": size}
    assert _sent(four, "2 + 2") == [first, other, first, other]
    assert _sent(four, "3 + 1") == [first, other, other, alone]
    assert _sent(four, "one machine") == _sent(four, "a rank each") == [alone] * 4
    quarter = {scope: count // 4 for scope, count in first.items()}
    assert _sent(four, "fp16, 2 + 2")[0] == _sent(four, "bf16, 2 + 2")[2] == quarter


def _factor_bytes(shapes: list[torch.Size], columns: int) -> int:
    """Of float64 gradients sent by PowerSGD: two factors a matrix if they are less than half of it."""
    total = 0
    for shape in shapes:
        factors = columns * sum(shape) if len(shape) == 2 else shape.numel()
        total += 8 * (factors if 2 * factors < shape.numel() else shape.numel())
    return total


def test_bytes_sent_of_factors(two: Outcome, four: Outcome) -> None:
    whole, factors = two.steps[0]["default"]["sent"][0]["global"], _factor_bytes(_sizes(SMALL), 2)
    assert [sent["global"] for sent in two.steps[0]["factors"]["sent"]] == [whole, whole, factors, factors]
    assert [sent["global"] for sent in two.steps[0]["factors later"]["sent"]] == [whole] * STEPS
    assert _sent(four, "factors, 3 + 1")[3] == {"global": _factor_bytes(_sizes(SMALL), 4)}


# -- training -----------------------------------------------------------------------------------------


def _weights(folder: Path) -> dict[str, Tensor]:
    return checkpoint.load(folder / "checkpoints" / "latest.pt")["network"]


def _records(folder: Path) -> list[dict[str, Any]]:
    return RunFolder(folder).members()[0].records()


def _parameters(folder: Path) -> list[torch.Size]:
    """Shapes of what has gradients."""
    optimizer = checkpoint.load(folder / "checkpoints" / "latest.pt")["optimizer"]
    return [state["exp_avg"].shape for state in optimizer["state"].values()]


def _assert_like_one_rank(one: Path, folder: Path) -> None:
    ours = _weights(folder)
    for name, weights in _weights(one).items():
        torch.testing.assert_close(ours[name], weights, rtol=1e-8, atol=1e-9)
    for record, expected in zip(_records(folder), _records(one), strict=True):
        assert record["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-8)
        assert record["seconds"]["all_reduce"] > 0 == expected["seconds"]["all_reduce"]
        assert expected["bytes_sent"] == {"local": 0, "global": 0}


@pytest.mark.parametrize("name", WHOLE)
def test_two_ranks_train_like_one(one: Path, two: Outcome, name: str) -> None:
    _assert_like_one_rank(one, two.runs / name)
    size = 8 * sum(shape.numel() for shape in _parameters(one))
    assert [r["bytes_sent"] for r in _records(two.runs / name)] == [{"local": 0, "global": UPDATES * size}] * 2


def test_two_nodes_of_two_ranks_train_like_one_rank(one: Path, four: Outcome) -> None:
    """Half of the ranks use the network; the mean rank sends half of its gradients there."""
    _assert_like_one_rank(one, four.runs / "2 + 2")
    size = UPDATES * 8 * sum(shape.numel() for shape in _parameters(one))
    assert [r["bytes_sent"] for r in _records(four.runs / "2 + 2")] == [{"local": size, "global": size / 2}] * 2


@pytest.mark.parametrize(("name", "part"), [("fp16", 0.02), ("bf16", 0.02), ("factors", 0.4)])
def test_compressed_training_is_another_but_as_good(two: Outcome, name: str, part: float) -> None:
    """The loss falls, and differs by no more than this part of what uncompressed training gains in an epoch."""
    whole, compressed = _records(two.runs / "default"), _records(two.runs / name)
    gain = whole[0]["val_loss"] - whole[1]["val_loss"]
    assert compressed[1]["train_loss"] < compressed[0]["train_loss"]
    for ours, theirs in zip(compressed, whole, strict=True):
        assert 0 < abs(ours["val_loss"] - theirs["val_loss"]) < part * gain


def test_bytes_sent_in_compressed_training(two: Outcome) -> None:
    shapes = _parameters(two.runs / "default")
    numbers = sum(shape.numel() for shape in shapes)
    for name in ROUNDED:
        assert [r["bytes_sent"]["global"] for r in _records(two.runs / name)] == [UPDATES * 2 * numbers] * 2
    factors = _factor_bytes(shapes, 2)
    assert factors < 8 * numbers / 2
    expected = [2 * 8 * numbers + (UPDATES - 2) * factors, UPDATES * factors]
    assert [r["bytes_sent"]["global"] for r in _records(two.runs / "factors")] == expected


@pytest.mark.parametrize(("ranks", "name"), [("two", "fp16"), ("four", "2 + 2")])
def test_resumed_equals_uninterrupted(request: pytest.FixtureRequest, ranks: str, name: str) -> None:
    """Stopped within the first epoch: the same weights, bit for bit, and the same bytes sent."""
    runs = request.getfixturevalue(ranks).runs
    whole, resumed = runs / name, runs / "resumed" / name
    weights = _weights(resumed)
    assert all(torch.equal(weights[key], value) for key, value in _weights(whole).items())
    for record, expected in zip(_records(resumed), _records(whole), strict=True):
        assert (record["val"], record["bytes_sent"]) == (expected["val"], expected["bytes_sent"])


def test_factors_begin_anew_after_a_restart(two: Outcome) -> None:
    """With two steps that send gradients whole; the loss is as good as without the restart."""
    whole, resumed = (_records(folder / "factors") for folder in (two.runs, two.runs / "resumed"))
    shapes = _parameters(two.runs / "default")
    more = 2 * (8 * sum(shape.numel() for shape in shapes) - _factor_bytes(shapes, 2))
    assert CONSENSUS_STEPS < UPDATES  # stopped within the first epoch
    sent = [[record["bytes_sent"]["global"] for record in records] for records in (whole, resumed)]
    assert sent[1] == [sent[0][0] + more, sent[0][1]]
    gain = whole[0]["val_loss"] - whole[1]["val_loss"]
    assert abs(resumed[1]["val_loss"] - whole[1]["val_loss"]) < 0.4 * gain


def test_bytes_are_shown(four: Outcome) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = RunFolder(four.runs / "2 + 2")
    sent = [record["bytes_sent"] for record in _records(folder.path)]
    over, within = (sum(record[scope] for record in sent) / 1e6 for scope in ("global", "local"))
    assert f"{over:.3f} MB over all ranks or nodes and {within:.3f} MB within nodes" in write_report(folder).read_text()
    events = EventAccumulator(str(folder.members()[0].tensorboard)).Reload()
    assert [event.value for event in events.Scalars("bytes_sent/local")] == [record["local"] for record in sent]


# -- configuration ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"compression": "fp8"}, r"training\.communication\.compression: .*'powersgd'"),
        ({"powersgd_rank": 0}, r"training\.communication\.powersgd_rank: .*greater than 0"),
        ({"powersgd_start": 1}, r"training\.communication\.powersgd_start: .*greater than or equal to 2"),
        ({"ranks_per_node": 4}, r"training\.communication: ranks_per_node is set.*set hierarchical"),
        ({"overlap": False, "bucket_mb": 5}, r"training\.communication: bucket_mb is set.*leave it out or set overlap"),
        ({"bucket_mb": 0}, r"training\.communication\.bucket_mb: .*greater than 0"),
        ({"bucket": 5}, r"training\.communication\.bucket: unknown key; did you mean 'bucket_mb'\?"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, section: Section, message: str) -> None:
    path = write_config(tmp_path / "run.json", Path("d.bp"), training={"communication": section})
    with pytest.raises(ConfigError, match=message):
        load_run_config(path)
