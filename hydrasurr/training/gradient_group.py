"""The process group over which gradients are summed: it counts what is sent, and can go by node."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch.distributed as dist
from torch import Tensor
from torch.futures import Future

SCOPES = ("local", "global")
"""Where gradients are sent: to ranks of the same node, or over all ranks or nodes."""


class GradientGroup(dist.ProcessGroup):
    """All ranks, as the process group that torch's communication hooks are given.

    It knows one collective, the sum over all ranks in place, which has ended when `allreduce` returns (for CUDA
    tensors: in the order of the current stream). With one node, or one rank on each, going by node is pointless and
    the plain all-reduce is done.

    Parameters
    ----------
    nodes : ranks of each node for sums that go by node: the ranks of a node are summed on its first one, the first
        ones of all nodes are summed over the network, and each hands the result to its node. Empty: one all-reduce
        over all ranks.
    sent : scope -> bytes, added to. Counted are the tensors this rank hands over as the input of a collective, as
        they are then (rounded, factorised): to an all-reduce or a reduction its own gradients, to a broadcast those
        it is the source of. How often the library moves them to carry out the collective is its own matter.
    """

    def __init__(self, nodes: list[list[int]], sent: Counter[str]):
        super().__init__(dist.get_rank(), dist.get_world_size())
        self._sent = sent
        self._by_node = 1 < len(nodes) < self.size()
        if self._by_node:
            self._node = next(node for node in nodes if self.rank() in node)
            self._node_group, _ = dist.new_subgroups_by_enumeration(nodes)
            self._leaders = dist.new_group([node[0] for node in nodes])

    def allreduce(self, tensors: list[Tensor], options: object = None) -> Summed:
        """What dist.all_reduce calls on its group; hooks only ask for sums."""
        (tensor,) = tensors
        future = Future(devices=[tensor.device] if tensor.is_cuda else None)
        try:
            self._sum(tensor)
            future.set_result([tensor])
        except Exception as error:  # if it were raised, dist.all_reduce would fail to describe this group, and hide it
            future.set_exception(error)
        return Summed(future)

    def _sum(self, tensor: Tensor) -> None:
        if not self._by_node:
            _wait(dist.all_reduce, self._counted(tensor, "global"))
            return
        leader, alone = self._node[0], len(self._node) == 1
        if self.rank() != leader:
            _wait(dist.reduce, self._counted(tensor, "local"), leader, group=self._node_group)
            _wait(dist.broadcast, tensor, leader, group=self._node_group)
            return
        if not alone:
            _wait(dist.reduce, tensor, leader, group=self._node_group)
        _wait(dist.all_reduce, self._counted(tensor, "global"), group=self._leaders)
        if not alone:
            _wait(dist.broadcast, self._counted(tensor, "local"), leader, group=self._node_group)

    def _counted(self, tensor: Tensor, scope: str) -> Tensor:
        self._sent[scope] += tensor.nbytes
        return tensor


@dataclass(frozen=True)
class Summed:
    """What hooks use of a torch.distributed.Work."""

    future: Future[list[Tensor]]

    def get_future(self) -> Future[list[Tensor]]:
        return self.future


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
