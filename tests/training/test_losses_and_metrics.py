"""Losses, metrics and the moving average against direct formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hydrasurr.graphs.schema import Target
from hydrasurr.training.ema import EMA
from hydrasurr.training.losses import Loss
from hydrasurr.training.metrics import MetricSums
from hydrasurr.training.tasks import Comparison


def _data(seed: int = 0, missing: float = 0.3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(20, 3, generator=generator, dtype=torch.float64)
    labels = torch.randn(20, 3, generator=generator, dtype=torch.float64)
    labels[torch.rand(20, 3, generator=generator) < missing] = torch.nan
    return values, labels


@pytest.mark.parametrize(
    ("kind", "pointwise"),
    [("mae", nn.L1Loss()), ("mse", nn.MSELoss()), ("huber", nn.HuberLoss())],
)
def test_masked_loss_is_the_weighted_mean_of_torchs(kind: str, pointwise: nn.Module) -> None:
    values, labels = _data()
    weights = [1.0, 2.0, 5.0]
    expected = 0.0
    for column, weight in enumerate(weights):
        present = ~labels[:, column].isnan()
        expected += weight * pointwise(values[present, column], labels[present, column]) / sum(weights)
    assert Loss(kind, weights).double()([Comparison(values, labels)]).item() == pytest.approx(float(expected))


def test_graph_and_node_levels_add_up() -> None:
    values, labels = _data()
    nodes, node_labels = _data(1)
    both = Loss("mae", [1.0] * 6).double()([Comparison(values, labels), Comparison(nodes, node_labels)])
    alone = Loss("mae", [1.0] * 3).double()
    parts = alone([Comparison(values, labels)]) + alone([Comparison(nodes, node_labels)])
    assert both.item() == pytest.approx(parts.item() / 2)


def test_gaussian_loss_is_torchs() -> None:
    values, labels = _data(missing=0)
    log_variance = torch.randn_like(values)
    reference = nn.GaussianNLLLoss()(values, labels, log_variance.exp())
    loss = Loss("mae", [1.0] * 3).double()
    assert loss([Comparison(values, labels, log_variance)]).item() == pytest.approx(reference.item())


def test_missing_labels_have_no_gradient_and_do_no_harm() -> None:
    values, labels = _data()
    labels[:, 1] = torch.nan
    values.requires_grad_()
    loss = Loss("mse", [1.0] * 3).double()([Comparison(values, labels)])
    loss.backward()
    assert loss.isfinite()
    assert (values.grad[labels.isnan()] == 0).all()
    assert (values.grad[~labels.isnan()] != 0).all()


@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 20), max_size=4), offset=st.floats(-1e4, 1e4))
@settings(max_examples=50, deadline=None)
def test_metrics_are_the_formulas_however_the_data_is_cut(seed: int, cuts: list[int], offset: float) -> None:
    values, labels = _data(seed)
    values, labels = values + offset, labels + offset
    targets = [Target(name, "eV") for name in "abc"]
    sums = MetricSums(targets, np.full(3, offset))
    bounds = sorted({0, 20, *cuts})
    for start, stop in zip(bounds[:-1], bounds[1:], strict=True):
        sums.add([Comparison(values[start:stop], labels[start:stop])])
    for column, name in enumerate("abc"):
        present = ~labels[:, column].isnan()
        predicted, reference = values[present, column].numpy(), labels[present, column].numpy()
        metrics = sums.metrics()[name]
        error = predicted - reference
        assert metrics["count"] == len(error)
        if len(error) < 2:
            continue
        assert metrics["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-9)
        assert metrics["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-9)
        expected = 1 - (error**2).sum() / ((reference - reference.mean()) ** 2).sum()
        assert metrics["r2"] == pytest.approx(expected, rel=1e-6)


def test_a_target_without_labels_has_no_metrics() -> None:
    sums = MetricSums([Target("a")], np.zeros(1))
    sums.add([Comparison(torch.zeros(3, 1), torch.full((3, 1), torch.nan))])
    assert sums.metrics()["a"]["count"] == 0
    assert np.isnan(sums.metrics()["a"]["mae"])


def test_moving_average_is_the_recursion() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    ema = EMA(network, 0.9)
    expected = {name: value.clone() for name, value in network.state_dict().items()}
    for step in range(30):
        with torch.no_grad():
            network[0].weight.add_(torch.randn(2, 3))
        network(torch.randn(5, 3))
        ema.update(network)
        rate = 1 - min(0.9, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            moved = expected[name] + rate * (value - expected[name]) if value.is_floating_point() else value.clone()
            expected[name] = moved
    for name, value in ema.network.state_dict().items():
        torch.testing.assert_close(value, expected[name])
    other = EMA(network, 0.9)
    other.load_state_dict(ema.state_dict())
    assert other.steps == 30
    torch.testing.assert_close(other.network[0].weight, ema.network[0].weight)
