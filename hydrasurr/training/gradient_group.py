"""The ranks over which gradients are summed: what is sent is counted, and can go by node."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

SCOPES = ("local", "global")
"""Where gradients are sent: to ranks of the same node, or over all ranks or nodes."""


class GradientGroup:
    """All ranks; its collectives have ended when they return (for CUDA tensors: in the order of the current stream).

    With one node, or one rank on each, going by node is pointless and not done.

    Parameters
    ----------
    nodes : ranks of each node for sums that go by node: the ranks of a node are summed on its first one, the first
        ones of all nodes are summed over the network, and each hands the result to its node. Empty: all ranks use the
        network.
    sent : scope -> bytes, added to. Counted are the tensors this rank hands over as the input of a collective, as
        they are then (rounded, factorised): to an all-reduce, an all-gather or a reduction its own gradients, to a
        broadcast those it is the source of. How often the library moves them to carry out the collective is its own
        matter.
    """

    def __init__(self, nodes: list[list[int]], sent: Counter[str]):
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self._sent = sent
        self._by_node = 1 < len(nodes) < self.size
        self._leaders: dist.ProcessGroup | None = None  # those who use the network; None: all ranks
        if self._by_node:
            self._node = next(node for node in nodes if self.rank in node)
            self._node_group, _ = dist.new_subgroups_by_enumeration(nodes)
            self._leaders = dist.new_group([node[0] for node in nodes])

    def sum(self, tensor: Tensor, across: Callable[[Tensor], None] | None = None) -> None:
        """Put the sum over all ranks in the place of `tensor`.

        `across` sums over the network, in place, instead of an all-reduce; it is called on the ranks that use it.
        """
        across = across or self._all_reduce
        if not self._by_node:
            across(tensor)
            return
        leader, alone = self._node[0], len(self._node) == 1
        if self.rank != leader:
            _wait(dist.reduce, self._counted(tensor, "local"), leader, group=self._node_group)
            _wait(dist.broadcast, tensor, leader, group=self._node_group)
            return
        if not alone:
            _wait(dist.reduce, tensor, leader, group=self._node_group)
        across(tensor)
        if not alone:
            _wait(dist.broadcast, self._counted(tensor, "local"), leader, group=self._node_group)

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """The tensors of all ranks that use the network, in the order of ranks; all of one size."""
        tensors = [torch.empty_like(tensor) for _ in range(dist.get_world_size(self._leaders))]
        _wait(dist.all_gather, tensors, self._counted(tensor, "global"), group=self._leaders)
        return tensors

    def mean(self, tensors: list[Tensor]) -> list[Tensor]:
        """The means over all ranks, sent as one message; `tensors` are left as they are."""
        if not tensors:
            return []
        message = torch.cat([tensor.reshape(-1) for tensor in tensors]).div_(self.size)
        self.sum(message)
        parts = message.split([tensor.numel() for tensor in tensors])
        return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]

    def _all_reduce(self, tensor: Tensor) -> None:
        _wait(dist.all_reduce, self._counted(tensor, "global"), group=self._leaders)

    def _counted(self, tensor: Tensor, scope: str) -> Tensor:
        self._sent[scope] += tensor.nbytes
        return tensor


def _wait(collective: Callable[..., dist.Work], *arguments: Any, **options: Any) -> None:
    """Call it and wait, with NCCL on the stream it keeps for itself, where collectives of all streams queue up."""
    collective(*arguments, **options, async_op=True).wait()


def find_nodes(ranks_per_node: int | None) -> list[list[int]]:
    """The ranks of each node, in rising order; called by all ranks together.

    Ranks on machines of one host name share a node; with `ranks_per_node` that many consecutive ones do, the last
    node having what is left.
    """
    ranks = range(dist.get_world_size())
    if ranks_per_node is not None:
        return [list(ranks[first : first + ranks_per_node]) for first in ranks[::ranks_per_node]]
    hosts: list[str] = [""] * len(ranks)
    dist.all_gather_object(hosts, socket.gethostname())
    return [[rank for rank in ranks if hosts[rank] == host] for host in dict.fromkeys(hosts)]
