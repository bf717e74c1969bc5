"""Principal neighbourhood aggregation, exact and several times faster than by scattering.

The layer (Corso et al., NeurIPS 2020, arXiv:2004.05718, in PyG's form with one tower, one pre- and one post-layer)::

    m_ij = W_i x_i + W_j x_j + W_e (V e_ij + c) + b             pre-layer
    a_i  = [agg(m_ij over j) for agg in aggregators]            A F numbers
    y_i  = L (P x_i + sum over scalers s of s(d_i) Q_s a_i + q) + l     post-layer, then `lin`

Three identities make it cheap; none changes the result by more than rounding.

1. The pre-layer is linear, so `W_j x_j + b` is computed per node and `W_e (V e + c)` per distinct edge feature, and
   a message is the sum of two looked-up rows. `W_i x_i` is the same for all messages into `i`: mean, min and max
   simply move by it, the sum by `d_i` times it, and std and var not at all. So the aggregators never see it.
2. Nodes come sorted by in-degree: the messages into all nodes of degree `d` are a dense `[d, n, F]` block, and each
   aggregator is a plain reduction.
3. Scalers depend on the degree only. For each degree present, the post-layer is one matrix
   `M_d = sum over s of s(d) Q_s` of A F columns instead of S A F. With `S_d` the sum of those F-column blocks of `M_d`
   that `W_i x_i` moves (the block of the sum times `d`), all that multiplies `x_i` is `P + S_d W_i`. At degree 1 mean,
   min, max and sum are the message itself, std and var are 0, and `S_1` is all that is left of `M_1`.
   At degree 0 all aggregates are 0 and only `P x_i` remains.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import AfterValidator, Field
from torch import Tensor, nn
from torch.nn.functional import linear

from hydrasurr.models.aggregate import aggregate
from hydrasurr.models.edges import Edges
from hydrasurr.models.strict import Strict

Aggregator = Literal["mean", "min", "max", "std", "sum", "var"]
Scaler = Literal["identity", "amplification", "attenuation", "linear", "inverse_linear"]


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError(f"names must differ, got {list(names)}")
    return names


class PNAConfig(Strict):
    """Principal neighbourhood aggregation (Corso et al. 2020, arXiv:2004.05718)."""

    type: Literal["PNA"] = "PNA"
    aggregators: Annotated[tuple[Aggregator, ...], AfterValidator(_distinct)] = Field(
        ("mean", "min", "max", "std"), min_length=1, description="Statistics taken over each node's messages."
    )
    scalers: Annotated[tuple[Scaler, ...], AfterValidator(_distinct)] = Field(
        ("identity", "amplification", "attenuation", "linear"),
        min_length=1,
        description="Functions of the node's degree, relative to the training data's, that multiply the statistics.",
    )

    def build(self, width: int, edge_width: int | None, degree_histogram: np.ndarray) -> nn.Module:
        return PNAConv(width, self.aggregators, self.scalers, degree_histogram, edge_width)


class PNAConv(nn.Module):
    """One layer, `[N, width]` to `[N, width]`. Parameters and buffers are named as in PyG's `PNAConv`.

    Parameters
    ----------
    width : F, features of a node before and after
    aggregators, scalers : see PNAConfig; their order is that of the columns of the post-layer
    degree_histogram : `[largest degree + 1]`, number of nodes of each in-degree in the training data
    edge_width : features of an edge, or None to ignore edge features
    """

    def __init__(
        self,
        width: int,
        aggregators: Sequence[str],
        scalers: Sequence[str],
        degree_histogram: np.ndarray | Tensor,
        edge_width: int | None = None,
    ) -> None:
        super().__init__()
        self.width = width
        self.aggregators, self.scalers = tuple(aggregators), tuple(scalers)
        terms = 2 if edge_width is None else 3
        if edge_width is not None:
            self.edge_encoder = nn.Linear(edge_width, width)
        self.pre_nns = nn.ModuleList([nn.Sequential(nn.Linear(terms * width, width))])
        blocks = 1 + len(self.aggregators) * len(self.scalers)
        self.post_nns = nn.ModuleList([nn.Sequential(nn.Linear(blocks * width, width))])
        self.lin = nn.Linear(width, width)
        self.aggr_module = DegreeScalers(self.scalers, degree_histogram)

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        pre, post = self.pre_nns[0][0], self.post_nns[0][0]
        w_centre, w_source, *w_edge = pre.weight.split(self.width, 1)
        table = linear(self.edge_encoder(edges.table), *w_edge) if w_edge else None
        messages = edges.messages(linear(h, w_source, pre.bias), table)
        own, moved, folded = self._matrices(edges, w_centre, post.weight)

        outputs = []
        nodes = h.split([group.nodes for group in edges.groups])
        for i, (group, x, m) in enumerate(zip(edges.groups, nodes, edges.neighbourhoods(messages), strict=True)):
            out = linear(x, own[i], post.bias)
            if group.degree == 1:
                out = torch.addmm(out, m[0], moved[i].t())
            elif group.degree > 1:
                out = torch.addmm(out, aggregate(m, self.aggregators), folded[i].t())
            outputs.append(out)
        if not len(messages):  # An empty sum: all parameters stay in the graph, as DDP needs.
            outputs.append(messages)
        return self.lin(torch.cat(outputs))

    def _matrices(self, edges: Edges, w_centre: Tensor, post: Tensor) -> tuple[tuple[Tensor, ...], ...]:
        """For each degree group: `P + S_d W_i` `[F, F]`, `S_d` `[F, F]` and `M_d` `[F, A F]`."""
        width, num_groups = self.width, len(edges.groups)
        p, q = post.split([width, post.shape[1] - width], 1)
        q = q.view(width, len(self.scalers), -1) if q.is_contiguous() else q.unflatten(1, (len(self.scalers), -1))
        folded = torch.einsum("ds,osk->dok", self.aggr_module(edges.degrees), q)
        blocks = zip(self.aggregators, folded.split(width, 2), strict=True)
        degree = edges.degrees.view(-1, 1, 1)
        moved = sum(
            (block * degree if name == "sum" else block for name, block in blocks if name not in ("std", "var")),
            start=folded.new_zeros(num_groups, width, width),
        )
        own = p + (moved * (degree > 0)).view(-1, width).mm(w_centre).view(num_groups, width, width)
        return own.unbind(), moved.unbind(), folded.unbind()


class DegreeScalers(nn.Module):
    """Factors by which a node of degree `d` multiplies its statistics.

    Amplification `log(d + 1) / a`, attenuation its inverse, linear `d / b`, inverse_linear its inverse, where `a` and
    `b` are the means of `log(d + 1)` and `d` over the nodes of the training data.
    """

    def __init__(self, scalers: Sequence[str], degree_histogram: np.ndarray | Tensor) -> None:
        super().__init__()
        self.scalers = tuple(scalers)
        histogram = torch.as_tensor(degree_histogram, dtype=torch.float64)
        degree = torch.arange(len(histogram))
        for name, values in (("avg_deg_lin", degree), ("avg_deg_log", torch.log(degree + 1))):
            mean = float((values * histogram).sum() / histogram.sum())
            self.register_buffer(name, torch.tensor([mean or 1.0]))

    def forward(self, degrees: Tensor) -> Tensor:
        """Factors `[D, S]` of degrees, int64 `[D]`."""
        degree = degrees.to(self.avg_deg_log.dtype)
        log = torch.log(degree + 1) / self.avg_deg_log
        ratio = degree / self.avg_deg_lin
        factors = {
            "identity": lambda: torch.ones_like(degree),
            "amplification": lambda: log,
            "attenuation": lambda: 1 / log,
            "linear": lambda: ratio,
            "inverse_linear": lambda: 1 / ratio,
        }
        return torch.stack([factors[name]() for name in self.scalers], 1)
