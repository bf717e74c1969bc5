"""Several networks as one: a deep ensemble, whose disagreement is an uncertainty.

Lakshminarayanan, Pritzel, Blundell, "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles",
arXiv:1612.01474: the mixture's mean is the mean of the members, its variance the mean of their variances plus the
variance of their means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hydrasurr.loading.batch import GraphBatch
from hydrasurr.models.network import GraphNetwork, Physical, Prediction


class Ensemble(nn.Module):
    """Networks of the same targets, queried together; one network is an ensemble of one."""

    def __init__(self, networks: Sequence[GraphNetwork]):
        super().__init__()
        self.networks = nn.ModuleList(networks)

    @property
    def has_uncertainty(self) -> bool:
        """Whether `physical` gives standard deviations."""
        return len(self.networks) > 1 or self.networks[0].config.uncertainty == "gaussian"

    def forward(self, batch: GraphBatch, **options: Any) -> list[Prediction]:
        return [network(batch, **options) for network in self.networks]

    def physical(self, predictions: list[Prediction]) -> Physical:
        """Mean and standard deviation in physical units; the latter None for one network without a variance."""
        if len(predictions) == 1:
            return self.networks[0].physical(predictions[0])
        members = [network.physical(p) for network, p in zip(self.networks, predictions, strict=True)]
        graph, graph_std = _mix([m.graph for m in members], [m.graph_std for m in members])
        node, node_std = _mix([m.node for m in members], [m.node_std for m in members])
        return Physical(graph, node, graph_std, node_std)


def _mix(means: list[Tensor | None], stds: list[Tensor | None]) -> tuple[Tensor | None, Tensor | None]:
    if means[0] is None:
        return None, None
    stacked = torch.stack(means)
    variance = stacked.var(dim=0, correction=0)
    if stds[0] is not None:
        variance = variance + torch.stack(stds).square().mean(dim=0)
    return stacked.mean(dim=0), variance.sqrt()
