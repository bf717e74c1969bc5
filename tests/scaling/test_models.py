"""The all-reduce models and networks: by hand, and by simulating the algorithms."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.errors import ConfigError
from hydrasurr.scaling.models import MODELS
from hydrasurr.scaling.network import PRESETS, Level, Network, all_reduce_seconds, find_network, levels_of


def test_eq_7_by_hand() -> None:
    seconds = MODELS["eq7"].seconds(8, 1_000_000, 2e-6, 1e-9)
    assert seconds == pytest.approx(3 * (2e-6 + 1e-9 * 1_000_000 / 8))


@given(power=st.integers(1, 8), size=st.integers(1, 10**9))
def test_ring_and_doubling_count_what_the_algorithms_send(power: int, size: int) -> None:
    """Walk through both algorithms: who sends how much in how many steps?"""
    ranks = 2**power
    chunk = size / ranks
    ring_steps, ring_bytes = 0, 0.0
    for _ in ("reduce-scatter", "all-gather"):
        for _ in range(ranks - 1):
            ring_steps, ring_bytes = ring_steps + 1, ring_bytes + chunk
    part, tree_steps, tree_bytes = float(size), 0, 0.0
    while part > chunk * 1.5:  # halving; doubling is the same backwards
        part /= 2
        tree_steps, tree_bytes = tree_steps + 2, tree_bytes + 2 * part
    for name, steps, volume in (("ring", ring_steps, ring_bytes), ("tree", tree_steps, tree_bytes)):
        assert MODELS[name].seconds(ranks, size, 1.0, 0.0) == pytest.approx(steps)
        assert MODELS[name].seconds(ranks, size, 0.0, 1.0) == pytest.approx(volume)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_one_rank_reduces_nothing(model) -> None:
    assert model.seconds(1, 10**9, 1.0, 1.0) == 0
    assert model.design([1, 2], [10, 10]).shape == (2, 2)


def _levels(*pairs: tuple[float, float, float]) -> list[Level]:
    return [Level(ranks, np.array([alpha]), np.array([beta])) for ranks, alpha, beta in pairs]


def test_nodes_reduce_within_then_between() -> None:
    model, size = MODELS["ring"], 8e6
    levels = _levels((4, 1e-6, 1e-11), (np.inf, 5e-6, 1e-10))
    within = model.seconds(4, size, 1e-6, 1e-11)
    assert all_reduce_seconds(levels, model, 4, size) == pytest.approx(within)
    between = model.seconds(8, size / 4, 5e-6, 1e-10)
    assert all_reduce_seconds(levels, model, 32, size) == pytest.approx(within + between)
    assert all_reduce_seconds(levels, model, 1, size) == 0


def test_one_link_for_all_is_the_plain_model() -> None:
    for model in MODELS.values():
        flat = all_reduce_seconds(_levels((np.inf, 1e-6, 1e-9)), model, 24, 1e6)
        assert flat == pytest.approx(model.seconds(24, 1e6, 1e-6, 1e-9))


@pytest.mark.parametrize("name", PRESETS)
def test_presets_tell_where_each_figure_is_from(name: str) -> None:
    network = find_network(name)
    assert network is not None and network.gpus_per_node in (4, 6, 8)
    for link in (network.within, network.between):
        assert len(link.source) > 30 and len(link.latency_source) > 30
    inner, outer = levels_of(network, np.random.default_rng(0), 1000)
    assert inner.beta[0] == pytest.approx(1 / (1e9 * network.within.gigabytes_per_second * network.within.achieved))
    assert inner.alpha[0] < outer.alpha[0] and inner.beta[0] < outer.beta[0]
    for draws in (inner.alpha, inner.beta, outer.alpha, outer.beta):
        assert (draws > 0).all() and np.median(draws) == pytest.approx(draws[0], rel=0.1)
    assert np.std(np.log(outer.alpha[1:])) == pytest.approx(math.log1p(network.between.latency_error), rel=0.1)


def test_a_network_can_be_described_in_a_file(tmp_path: Path) -> None:
    raw = PRESETS["dgx-h100"].model_dump()
    raw["between"]["latency_us"] = 3.0
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(raw))
    assert find_network(str(path)) == Network.model_validate(raw)
    raw["between"]["latency"] = 3.0
    path.write_text(json.dumps(raw))
    with pytest.raises(ConfigError, match=r"mine\.json.*\n.*between\.latency: unknown key; did you mean 'latency_us'"):
        find_network(str(path))


def test_unknown_networks_are_told() -> None:
    assert find_network("measured") is None
    with pytest.raises(ConfigError, match="--network sumit: no preset.*did you mean 'summit'"):
        find_network("sumit")
