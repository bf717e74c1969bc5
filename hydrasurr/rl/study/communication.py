"""What averaging gradients takes on more ranks than there are, by models of the all-reduce.

Symbols as in `hydrasurr.scaling.models`: N ranks, S bytes, alpha seconds a message, beta seconds a byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

import numpy as np

from hydrasurr.scaling.models import AllReduceModel
from hydrasurr.scaling.network import Network, levels_of


@dataclass(frozen=True)
class Links:
    """What carries messages: within nodes of `node` ranks, and between them.

    Attributes
    ----------
    within, between : (alpha, beta)
    """

    node: int
    within: tuple[float, float]
    between: tuple[float, float]

    @classmethod
    def of(cls, network: Network) -> Links:
        """The best values of a described network."""
        within, between = levels_of(network, np.random.default_rng(0), 1)
        return cls(
            network.gpus_per_node,
            (float(within.alpha[0]), float(within.beta[0])),
            (float(between.alpha[0]), float(between.beta[0])),
        )

    def latency(self, ranks: int, size: float) -> np.ndarray:
        """float64 `[N, N]`: seconds of a message from rank to rank by Eq. 6, NaN from a rank to itself."""
        node = np.arange(ranks) // self.node
        alpha, beta = np.where((node[:, None] == node)[..., None], self.within, self.between).transpose(2, 0, 1)
        seconds = alpha + beta * size
        np.fill_diagonal(seconds, np.nan)
        return seconds


def flat_seconds(links: Links, model: AllReduceModel, ranks: int, size: float) -> float:
    """One all-reduce over all ranks, each message as slow as one between nodes once there are several of them."""
    if ranks == 1:
        return 0.0
    alpha, beta = links.within if ranks <= links.node else links.between
    return float(model.seconds(ranks, size, alpha, beta))


def by_node_seconds(links: Links, model: AllReduceModel, ranks: int, size: float) -> float:
    """A hierarchical all-reduce as `training.gradient_group` does it.

    The ranks of a node are summed on its first one along a binary tree, `log2(g) (alpha + beta S)`; the first ones of
    all nodes are summed by `model`; and each hands the result down the tree. With one node, or one rank on each, it is
    not done, and this is `flat_seconds`.
    """
    nodes = -(-ranks // links.node)
    if nodes == 1 or links.node == 1:
        return flat_seconds(links, model, ranks, size)
    alpha, beta = links.within
    down = log2(links.node) * (alpha + beta * size)
    return 2 * down + float(model.seconds(nodes, size, *links.between))
