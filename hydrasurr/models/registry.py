"""Which layer a configuration names."""

from __future__ import annotations

from torch import Tensor, nn


def build_conv(config, width: int, degree_histogram: Tensor, edge_dim: int | None) -> nn.Module:
    from hydrasurr.models.pna import PNAConv

    return PNAConv(width, config.aggregators, config.scalers, degree_histogram, edge_dim)
