"""Gradients averaged in every way on real Gloo ranks: what comes out, what is sent, what training makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hydrasurr.errors import ConfigError
from hydrasurr.launcher import Ranks
from hydrasurr.training import checkpoint
from hydrasurr.training.config import load_run_config
from hydrasurr.training.folder import RunFolder
from hydrasurr.training.report import write_report
from tests.runs import write_config
from tests.training.gradient_ranks import (
    LARGE,
    NODES,
    ROUNDED,
    ROUNDOFF,
    SMALL,
    SMALLEST,
    STEPS,
    UPDATES,
    WHOLE,
    Outcome,
    Section,
    backward,
    make_job,
    small_network,
    train,
)


@pytest.fixture(scope="module")
def one(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on one rank."""
    folder = tmp_path_factory.mktemp("one")
    train(make_job(Ranks(), dataset, folder, {}))
    return folder


# -- gradients ----------------------------------------------------------------------------------------


def _own_gradients(world_size: int, width: int, dtype: torch.dtype, seed: int) -> list[Tensor]:
    """The gradients of all ranks, computed here: `[ranks, ...]` in float64 for each parameter."""
    gradients = []
    for rank in range(world_size):
        network = small_network(width, dtype)
        backward(network, width, dtype, rank, seed)
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
    assert two.steps[0]["buckets"]["waits"] == [1, 1, 1, 1]  # once a step, for what is not ready at its end


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
    """Each process adds a matrix of rank one."""
    _assert_means(two, "factors later")
    _assert_means(two, "factors", tolerance=1e-12)
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
    return [parameter.shape for parameter in small_network(width, torch.float64).parameters()]


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
    """Of float64 gradients sent by PowerSGD: two factors a matrix if it has more than 1.5 times their numbers."""
    total = 0
    for shape in shapes:
        factors = columns * sum(shape) if len(shape) == 2 else shape.numel()
        total += 8 * (factors if 1.5 * factors < shape.numel() else shape.numel())
    return total


def _int8_bytes(shapes: list[torch.Size]) -> int:
    """A byte a number, and a scale in float32 for every 256 numbers of a parameter or what is left of them."""
    return sum(shape.numel() + 4 * -(-shape.numel() // 256) for shape in shapes)


def test_bytes_sent_of_factors(two: Outcome, four: Outcome) -> None:
    whole, factors = two.steps[0]["default"]["sent"][0]["global"], _factor_bytes(_sizes(SMALL), 2)
    assert [sent["global"] for sent in two.steps[0]["factors"]["sent"]] == [whole, whole, factors, factors]
    assert [sent["global"] for sent in two.steps[0]["factors later"]["sent"]] == [whole] * STEPS
    assert _sent(four, "factors, 3 + 1")[3] == {"global": _factor_bytes(_sizes(SMALL), 4)}


def test_bytes_sent_as_int8(two: Outcome, four: Outcome) -> None:
    """By node, the first rank of each gets and hands back float32."""
    size, numbers = _int8_bytes(_sizes(SMALL)), sum(size.numel() for size in _sizes(SMALL))
    for outcome, name in ((two, "int8"), (two, "int8, feedback, buckets"), (four, "int8")):
        assert _sent(outcome, name) == [{"global": size}] * outcome.world_size
    first, other = {"global": size, "local": 4 * numbers}, {"local": 4 * numbers}
    assert _sent(four, "int8, feedback, 2 + 2") == [first, other, first, other]


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
        for phase in ("all_reduce", "exposed"):
            assert record["seconds"][phase] > 0 == expected["seconds"][phase]
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


@pytest.mark.parametrize("name", ROUNDED)
def test_rounded_training_is_another_but_as_good(two: Outcome, name: str) -> None:
    """The loss falls, and differs by no more than a fiftieth of what uncompressed training gains in an epoch."""
    whole, compressed = _records(two.runs / "default"), _records(two.runs / name)
    gain = whole[0]["val_loss"] - whole[1]["val_loss"]
    assert compressed[1]["train_loss"] < compressed[0]["train_loss"]
    for ours, theirs in zip(compressed, whole, strict=True):
        assert 0 < abs(ours["val_loss"] - theirs["val_loss"]) < 0.02 * gain


@pytest.mark.parametrize("name", ["factors", "int8", "feedback"])
def test_compressed_training_ends_where_uncompressed_does(two: Outcome, name: str) -> None:
    """On the way it differs as much as between seeds."""
    whole, compressed = (_records(two.runs / "long" / run) for run in ("default", name))
    assert whole[-1]["val_loss"] < 0.7 * whole[0]["val_loss"]
    assert compressed[-1]["val_loss"] < 1.1 * whole[-1]["val_loss"]


def test_bytes_sent_in_compressed_training(two: Outcome) -> None:
    shapes = _parameters(two.runs / "default")
    numbers = sum(shape.numel() for shape in shapes)
    for name in ROUNDED:
        assert [r["bytes_sent"]["global"] for r in _records(two.runs / name)] == [UPDATES * 2 * numbers] * 2
    for name in ("int8", "feedback"):
        assert [r["bytes_sent"]["global"] for r in _records(two.runs / name)] == [UPDATES * _int8_bytes(shapes)] * 2
    factors = _factor_bytes(shapes, 2)
    assert factors < 8 * numbers / 2
    expected = [2 * 8 * numbers + (UPDATES - 2) * factors, UPDATES * factors]
    assert [r["bytes_sent"]["global"] for r in _records(two.runs / "factors")] == expected


@pytest.mark.parametrize(
    ("ranks", "name"), [("two", "fp16"), ("two", "factors"), ("two", "int8"), ("two", "feedback"), ("four", "2 + 2")]
)
def test_resumed_equals_uninterrupted(request: pytest.FixtureRequest, ranks: str, name: str) -> None:
    """Stopped within the first epoch: the same weights, bit for bit, and the same bytes sent."""
    runs = request.getfixturevalue(ranks).runs
    whole, resumed = runs / name, runs / "resumed" / name
    weights = _weights(resumed)
    assert all(torch.equal(weights[key], value) for key, value in _weights(whole).items())
    for record, expected in zip(_records(resumed), _records(whole), strict=True):
        assert (record["val"], record["bytes_sent"]) == (expected["val"], expected["bytes_sent"])


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
        ({"powersgd_start": -1}, r"training\.communication\.powersgd_start: .*greater than or equal to 0"),
        (
            {"int8_error_feedback": True},
            r"training\.communication: int8_error_feedback is set, but compression is 'none'",
        ),
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
