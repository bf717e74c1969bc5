"""Models of averages of gradients against their terms written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.rl.study.communication import Links, by_node_seconds, flat_seconds
from hydrasurr.scaling.models import MODELS
from hydrasurr.scaling.network import PRESETS

LINKS = Links(4, (1e-6, 1e-10), (1e-5, 1e-9))
RING = MODELS["ring"]


def test_flat_over_several_nodes_is_as_slow_as_the_slow_links() -> None:
    # 2 (N-1) alpha + 2 (N-1)/N S beta
    assert flat_seconds(LINKS, RING, 16, 8e6) == pytest.approx(30 * 1e-5 + 30 / 16 * 8e6 * 1e-9)
    assert flat_seconds(LINKS, RING, 4, 8e6) == pytest.approx(6 * 1e-6 + 6 / 4 * 8e6 * 1e-10)
    assert flat_seconds(LINKS, RING, 1, 8e6) == 0


def test_by_node_is_a_tree_within_nodes_and_a_ring_between_them() -> None:
    tree = 2 * 2 * (1e-6 + 1e-10 * 8e6)
    ring = 6 * 1e-5 + 6 / 4 * 8e6 * 1e-9
    assert by_node_seconds(LINKS, RING, 16, 8e6) == pytest.approx(tree + ring)


@given(st.integers(1, 4), st.floats(1, 1e9), st.sampled_from(sorted(MODELS)))
def test_within_a_node_there_is_no_difference(ranks: int, size: float, model: str) -> None:
    assert by_node_seconds(LINKS, MODELS[model], ranks, size) == flat_seconds(LINKS, MODELS[model], ranks, size)


def test_many_small_messages_gain_most_by_node() -> None:
    small, large = 1e3, 1e9
    gains = [flat_seconds(LINKS, RING, 128, s) / by_node_seconds(LINKS, RING, 128, s) for s in (small, large)]
    assert gains[0] > 3 > gains[1]


def test_latencies_of_a_described_network() -> None:
    links = Links.of(PRESETS["perlmutter"])
    assert links.node == 4 and links.within[0] == pytest.approx(1.2e-6)
    assert links.between[1] == pytest.approx(1 / (25e9 * 0.8))
    seconds = links.latency(8, 1e6)
    assert np.isnan(np.diag(seconds)).all()
    assert seconds[0, 3] == pytest.approx(links.within[0] + 1e6 * links.within[1])
    assert seconds[3, 4] == seconds[4, 3] == pytest.approx(links.between[0] + 1e6 * links.between[1])
