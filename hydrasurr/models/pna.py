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

import torch
from pydantic import AfterValidator, Field
from torch import Tensor, nn
from torch.nn.functional import linear

from hydrasurr.models.aggregate import aggregate
from hydrasurr.models.edges import Edges
from hydrasurr.models.layer import LayerConfig

Aggregator = Literal["mean", "min", "max", "std", "sum", "var"]
Scaler = Literal["identity", "amplification", "attenuation", "linear", "inverse_linear"]


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError(f"names must differ, got {list(names)}")
    return names


class PNAConfig(LayerConfig):
    """Principal neighbourhood aggregation (arXiv:2004.05718)."""

    type: Literal["PNA"] = "PNA"
    aggregators: Annotated[tuple[Aggregator, ...], AfterValidator(_distinct)] = Field(
        ("mean", "min", "max", "std"), min_length=1
    )
    """Statistics of the messages a node receives."""
    scalers: Annotated[tuple[Scaler, ...], AfterValidator(_distinct)] = Field(
        ("identity", "amplification", "attenuation", "linear"), min_length=1
    )
    """Functions of the node's degree, relative to the training data, that multiply the statistics."""

    def build(self, width: int, degree_histogram: Tensor, edge_dim: int | None) -> PNAConv:
        return PNAConv(width, self.aggregators, self.scalers, degree_histogram, edge_dim)


class PNAConv(nn.Module):
    """One layer, `[N, width]` to `[N, width]`. Parameters and buffers are named as in PyG's `PNAConv`.

    Parameters
    ----------
    width : F, features of a node before and after
    aggregators, scalers : see PNAConfig; their order is that of the columns of the post-layer
    degree_histogram : int64 `[largest degree + 1]`, number of nodes of each in-degree in the training data
    edge_dim : features of an edge, or None to ignore edge features
    """

    def __init__(
        self,
        width: int,
        aggregators: Sequence[str],
        scalers: Sequence[str],
        degree_histogram: Tensor,
        edge_dim: int | None = None,
    ) -> None:
        super().__init__()
        self.width = width
        self.aggregators, self.scalers = tuple(aggregators), tuple(scalers)
        terms = 2 if edge_dim is None else 3
        if edge_dim is not None:
            self.edge_encoder = nn.Linear(edge_dim, width)
        self.pre_nns = nn.ModuleList([nn.Sequential(nn.Linear(terms * width, width))])
        blocks = 1 + len(self.aggregators) * len(self.scalers)
        self.post_nns = nn.ModuleList([nn.Sequential(nn.Linear(blocks * width, width))])
        self.lin = nn.Linear(width, width)
        self.aggr_module = DegreeScalers(self.scalers, degree_histogram)

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        pre, post = self.pre_nns[0][0], self.post_nns[0][0]
        w_centre, w_source, *w_edge = pre.weight.split(self.width, 1)
        p, q = post.weight.split([self.width, post.in_features - self.width], 1)
        table = linear(self.edge_encoder(edges.table), *w_edge) if w_edge else None
        messages = edges.messages(linear(h, w_source, pre.bias), table)
        folded, moved = self._matrices(edges, q)

        outputs = []
        nodes = h.split([group.nodes for group in edges.groups])
        for i, (group, x, m) in enumerate(zip(edges.groups, nodes, edges.neighbourhoods(messages), strict=True)):
            if group.degree == 0:
                out = linear(x, p, post.bias)
            elif group.nodes > self.width:
                out = linear(x, p + moved[i] @ w_centre, post.bias)
            else:  # The same in another order, cheaper for few nodes.
                out = torch.addmm(linear(x, p, post.bias), linear(x, w_centre), moved[i].t())
            if group.degree == 1:
                out = torch.addmm(out, m[0], moved[i].t())
            elif group.degree > 1:
                out = torch.addmm(out, aggregate(m, self.aggregators), folded[i].t())
            outputs.append(out)
        if not len(messages):  # An empty sum: all parameters stay in the graph, as DDP needs.
            outputs.append(messages)
        return self.lin(torch.cat(outputs))

    def _matrices(self, edges: Edges, q: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """For each degree group: `M_d` `[F, A F]` and `S_d` `[F, F]`, from all `Q_s` side by side."""
        q = q.unflatten(1, (len(self.scalers), -1))
        folded = self.aggr_module(edges.degrees) @ q  # [F, D, A F]: each output's rows, scaled for each degree
        moved = folded.new_zeros(self.width, len(edges.groups), self.width)
        for name, block in zip(self.aggregators, folded.split(self.width, 2), strict=True):
            if name in ("mean", "min", "max"):
                moved += block
            elif name == "sum":
                moved += block * edges.degrees[:, None]
        return folded.unbind(1), moved.unbind(1)


class DegreeScalers(nn.Module):
    """Factors by which a node of degree `d` multiplies its statistics.

    Amplification `log(d + 1) / a`, attenuation its inverse, linear `d / b`, inverse_linear its inverse, where `a` and
    `b` are the means of `log(d + 1)` and `d` over the nodes of the training data.
    """

    def __init__(self, scalers: Sequence[str], degree_histogram: Tensor) -> None:
        super().__init__()
        self.scalers = tuple(scalers)
        histogram = degree_histogram.double()
        degree = torch.arange(len(histogram), dtype=torch.float64)
        for name, values in (("avg_deg_lin", degree), ("avg_deg_log", torch.log(degree + 1))):
            mean = float((values * histogram).sum() / histogram.sum())
            self.register_buffer(name, torch.tensor([mean or 1.0]))

    def forward(self, degrees: Tensor) -> Tensor:
        """Factors `[D, S]` of degrees, int64 `[D]`."""
        degree = degrees.to(self.avg_deg_log.dtype)
        log, lin = self.avg_deg_log, self.avg_deg_lin
        at_least_one = degree.clamp(min=1)
        factors = {
            "identity": lambda: torch.ones_like(degree),
            "amplification": lambda: torch.log(degree + 1) / log,
            "attenuation": lambda: log / torch.log(at_least_one + 1),
            "linear": lambda: degree / lin,
            "inverse_linear": lambda: lin / at_least_one,
        }
        return torch.stack([factors[name]() for name in self.scalers], 1)
