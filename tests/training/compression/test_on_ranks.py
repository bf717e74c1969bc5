"""Compressed gradients on real ranks against slow twins in one process, that are written another way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from hydrasurr.training.compression.int8 import noise_seed
from tests.training.gradient_ranks import CONTINUED, DESCENT, SEED, SMALL, STEPS, Outcome, backward, small_network


def _gradients(world_size: int, dtype: torch.dtype, step: int) -> list[list[np.ndarray]]:
    """rank -> parameter -> gradient."""
    ranks = []
    for rank in range(world_size):
        network = small_network(SMALL, dtype)
        backward(network, SMALL, dtype, rank, step)
        ranks.append([parameter.grad.numpy() for parameter in network.parameters()])
    return ranks


def _averaged(outcome: Outcome, name: str, step: int) -> list[Tensor]:
    """The result of a step, which is the same on all ranks, bit for bit."""
    first, *others = [rank[name]["gradients"][step] for rank in outcome.steps]
    assert all(torch.equal(a, b) for other in others for a, b in zip(first, other, strict=True))
    return first


# -- PowerSGD -----------------------------------------------------------------------------------------


def _one_column(world_size: int) -> list[list[np.ndarray]]:
    """step -> parameter -> averaged gradient, by PowerSGD with one column after one step sent whole.

    With one column there is no need for QR: the gradient is projected on the direction p = M q.
    """
    shapes = [tuple(parameter.shape) for parameter in small_network(SMALL, torch.float64).parameters()]
    numbers = sum(shape[1] for shape in shapes if len(shape) == 2)
    drawn = torch.randn(numbers, generator=torch.Generator().manual_seed(SEED), dtype=torch.float64).numpy()
    q: dict[int, np.ndarray] = {}
    for number, shape in enumerate(shapes):
        if len(shape) == 2:
            q[number], drawn = drawn[: shape[1]], drawn[shape[1] :]
    errors = [{number: np.zeros(shapes[number]) for number in q} for _ in range(world_size)]
    steps = []
    for step in range(STEPS):
        gradients, averaged = _gradients(world_size, torch.float64, step), []
        for number in range(len(shapes)):
            if step == 0 or number not in q:
                averaged.append(np.mean([of_rank[number] for of_rank in gradients], axis=0))
                continue
            matrices = [gradients[rank][number] + errors[rank][number] for rank in range(world_size)]
            p = np.mean(matrices, axis=0) @ q[number]
            projector = np.outer(p, p) / (p @ p)
            averaged.append(projector @ np.mean(matrices, axis=0))
            for rank, matrix in enumerate(matrices):
                errors[rank][number] = matrix - projector @ matrix
            q[number] = np.mean(matrices, axis=0).T @ p
        steps.append(averaged)
    return steps


@pytest.mark.parametrize(
    ("ranks", "name"),
    [("two", "one column"), ("two", "one column, buckets"), ("four", "one column"), ("four", "one column, 2 + 2")],
)
def test_powersgd_equals_its_twin(request: pytest.FixtureRequest, ranks: str, name: str) -> None:
    outcome = request.getfixturevalue(ranks)
    exact = _gradients(outcome.world_size, torch.float64, STEPS - 1)
    for step, expected in enumerate(_one_column(outcome.world_size)):
        for ours, theirs in zip(_averaged(outcome, name, step), expected, strict=True):
            np.testing.assert_allclose(ours.numpy(), theirs, rtol=0, atol=1e-12)
    assert np.abs(ours.numpy() - np.mean([of_rank[-1] for of_rank in exact], axis=0)).max() < 1e-14  # a vector
    assert np.abs(expected[0] - np.mean([of_rank[0] for of_rank in exact], axis=0)).max() > 1e-3  # a matrix, lossy


# -- int8 ---------------------------------------------------------------------------------------------


def _quantised(values: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """What is left of one parameter of one rank, number by number."""
    flat, result = values.ravel(), np.zeros(values.size, np.float32)
    for begin in range(0, flat.size, 256):
        scale = np.abs(flat[begin : begin + 256]).max() / np.float32(127)
        for place in range(begin, min(begin + 256, flat.size)):
            result[place] = np.float32(np.floor(flat[place] / scale + noise[place])) * scale
    return result.reshape(values.shape)


def _int8(world_size: int, nodes: list[list[int]], feedback: bool) -> list[list[np.ndarray]]:
    """step -> parameter -> averaged gradient."""
    shapes = [tuple(parameter.shape) for parameter in small_network(SMALL, torch.float32).parameters()]
    errors = [[np.zeros(shape, np.float32) for shape in shapes] for _ in range(world_size)]
    steps = []
    for step in range(STEPS):
        gradients, begin, averaged = _gradients(world_size, torch.float32, step), 0, []
        for number, shape in enumerate(shapes):
            total, end = np.zeros(shape, np.float32), begin + int(np.prod(shape))
            for node in nodes:
                of_node = sum(gradients[rank][number] + errors[rank][number] for rank in node)
                generator = torch.Generator().manual_seed(noise_seed(SEED, node[0], step))
                noise = torch.rand(sum(map(np.prod, shapes)), generator=generator).numpy()[begin:end]
                sent = _quantised(of_node, noise)
                total = total + sent
                if feedback:
                    errors[node[0]][number] = of_node - sent
            averaged.append(total / np.float32(world_size))
            begin = end
        steps.append(averaged)
    return steps


PAIRS = [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ("ranks", "name", "nodes", "feedback"),
    [
        ("two", "int8", [[0], [1]], False),
        ("two", "int8, feedback", [[0], [1]], True),
        ("two", "int8, feedback, buckets", [[0], [1]], True),
        ("four", "int8", [[0], [1], [2], [3]], False),
        ("four", "int8, feedback, 2 + 2", PAIRS, True),
    ],
)
def test_int8_equals_its_twin(
    request: pytest.FixtureRequest, ranks: str, name: str, nodes: list[list[int]], feedback: bool
) -> None:
    outcome = request.getfixturevalue(ranks)
    for step, expected in enumerate(_int8(outcome.world_size, nodes, feedback)):
        for ours, theirs in zip(_averaged(outcome, name, step), expected, strict=True):
            np.testing.assert_array_equal(ours.numpy(), theirs)


# -- both ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ranks", "name"), [(r, n) for r, w in (("two", 2), ("four", 4)) for n in CONTINUED[w]])
def test_continued_from_a_checkpoint_equals_undisturbed(request: pytest.FixtureRequest, ranks: str, name: str) -> None:
    """Bit for bit, though DDP has its first buckets again; and the memory of the steps before is used."""
    outcome = request.getfixturevalue(ranks)
    ours, expected = _averaged(outcome, f"{name}, continued", 0), _averaged(outcome, name, STEPS - 1)
    assert all(map(torch.equal, ours, expected))


def test_errors_of_other_ranks_are_averaged(two: Outcome) -> None:
    assert two.steps[0]["other ranks"]["errors"] == two.steps[1]["other ranks"]["errors"] == [2.0, 0.0]


@pytest.mark.parametrize("compression", ["factors", "int8"])
def test_zero_gradients_stay_zero_and_do_no_harm(two: Outcome, compression: str) -> None:
    steps = [_averaged(two, f"{compression}, zeros first", step) for step in range(4)]
    assert all(not gradient.any() for step in steps[:2] for gradient in step)
    assert all(gradient.isfinite().all() and gradient.any() for step in steps[2:] for gradient in step)
    if compression == "factors":  # what it draws does not depend on the step
        for step in (0, 1):
            assert all(map(torch.equal, steps[2 + step], _averaged(two, "factors, no zeros", step)))


@pytest.mark.parametrize("ranks", ["two", "four"])
def test_descent_with_feedback_reaches_the_minimum(request: pytest.FixtureRequest, ranks: str) -> None:
    descents = request.getfixturevalue(ranks).descents
    assert all(len(distances) == DESCENT for distances in descents.values())
    assert descents["none"][-1] < 1e-6
    assert descents["one column"][-1] < 1e-6
    # Rounding goes on at the minimum, where gradients of ranks are not zero; feedback takes back what it does.
    noise, fed_back = (np.mean(descents[name][-100:]) for name in ("int8", "int8, feedback"))
    assert fed_back < noise / 2 < 0.005
