"""Optimizers and schedules against slow twins and torch's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hydrasurr.training.config import OptimizerConfig, ScheduleConfig
from hydrasurr.training.large_batch import LAMB, LARS
from hydrasurr.training.optimizers import Schedule, build_optimizer


def _gradients(steps: int, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(steps, *shape))


def _run(optimizer_class: type, weight: np.ndarray, gradients: np.ndarray, **options: float) -> np.ndarray:
    parameter = nn.Parameter(torch.from_numpy(weight.copy()))
    optimizer = optimizer_class([parameter], **options)
    for gradient in gradients:
        parameter.grad = torch.from_numpy(gradient)
        optimizer.step()
    return parameter.detach().numpy()


def _ratio(weight: np.ndarray, step: np.ndarray) -> float:
    if weight.ndim < 2:
        return 1.0
    norms = np.linalg.norm(weight), np.linalg.norm(step)
    return norms[0] / norms[1] if min(norms) > 0 else 1.0


@pytest.mark.parametrize("shape", [(4, 3), (5,)])
@pytest.mark.parametrize("zero", [False, True])
def test_lamb_is_the_published_rule(shape: tuple[int, ...], zero: bool) -> None:
    weight = np.zeros(shape) if zero else np.random.default_rng(1).normal(size=shape)
    gradients = _gradients(6, shape)
    lr, beta1, beta2, eps, decay = 0.03, 0.9, 0.99, 1e-6, 0.1
    expected, first, second = weight.copy(), np.zeros(shape), np.zeros(shape)
    for step, gradient in enumerate(gradients, 1):
        first = beta1 * first + (1 - beta1) * gradient
        second = beta2 * second + (1 - beta2) * gradient**2
        update = first / (1 - beta1**step) / (np.sqrt(second / (1 - beta2**step)) + eps) + decay * expected
        expected = expected - lr * _ratio(expected, update) * update
    result = _run(LAMB, weight, gradients, lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=decay)
    np.testing.assert_allclose(result, expected, rtol=1e-12)


@pytest.mark.parametrize("shape", [(4, 3), (5,)])
def test_lars_is_the_published_rule(shape: tuple[int, ...]) -> None:
    weight = np.random.default_rng(1).normal(size=shape)
    gradients = _gradients(6, shape)
    lr, momentum, decay = 0.01, 0.9, 0.05
    expected, velocity = weight.copy(), np.zeros(shape)
    for gradient in gradients:
        update = gradient + decay * expected
        velocity = momentum * velocity + lr * _ratio(expected, update) * update
        expected = expected - velocity
    np.testing.assert_allclose(
        _run(LARS, weight, gradients, lr=lr, momentum=momentum, weight_decay=decay), expected, rtol=1e-12
    )


@pytest.mark.parametrize("kind", ["AdamW", "Adam", "SGD", "LAMB", "LARS"])
def test_every_optimizer_learns_and_decays_only_matrices(kind: str) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = build_optimizer(network, OptimizerConfig(type=kind, lr=0.02, weight_decay=0.1))
    decays = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert all(decays[id(p)] == (0.1 if p.ndim == 2 else 0.0) for p in network.parameters())
    x = torch.randn(64, 4)
    y = x[:, :1] * 2 + 1
    losses = []
    for _ in range(60):
        loss = ((network(x) - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_cosine_without_warmup_is_torchs() -> None:
    schedule = Schedule(ScheduleConfig(type="cosine", warmup=0, final=0.1), 0.5, 11)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10, eta_min=0.05)
    for step in range(11):
        assert schedule.lr(step) == pytest.approx(reference.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        reference.step()


@given(
    kind=st.sampled_from(["constant", "cosine", "one_cycle"]),
    warmup=st.floats(0, 0.9),
    steps=st.integers(1, 500),
)
@settings(max_examples=60, deadline=None)
def test_schedules_rise_then_never_rise_again(kind: str, warmup: float, steps: int) -> None:
    rates = [Schedule(ScheduleConfig(type=kind, warmup=warmup), 2.0, steps).lr(step) for step in range(steps)]
    top = int(np.argmax(rates))
    assert all(0 < rate <= 2.0 + 1e-12 for rate in rates)
    assert all(b >= a - 1e-12 for a, b in zip(rates[:top], rates[1 : top + 1], strict=True))
    assert all(b <= a + 1e-12 for a, b in zip(rates[top:-1], rates[top + 1 :], strict=True))
    if kind == "constant":
        assert rates[-1] == 2.0
    elif math.floor(warmup * steps) < steps - 1:
        assert rates[-1] == pytest.approx(2.0 * 1e-3)


def test_plateau_is_torchs() -> None:
    config = ScheduleConfig(type="plateau", warmup=0, patience=1, factor=0.3, final=0.01)
    schedule = Schedule(config, 1.0, 100)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.3, patience=1, threshold=0, min_lr=0.01, threshold_mode="abs"
    )
    for loss in [1.0, 0.9, 0.95, 0.95, 0.95, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8]:
        schedule.evaluated(loss)
        reference.step(loss)
        assert schedule.lr(50) == pytest.approx(optimizer.param_groups[0]["lr"])
    other = Schedule(config, 1.0, 100)
    other.load_state_dict(schedule.state_dict())
    assert other.lr(3) == schedule.lr(3)
