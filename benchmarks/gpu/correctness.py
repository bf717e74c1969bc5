"""Does the device compute what a CPU computes in float64?"""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch_geometric.data import Batch

from benchmarks.gpu.job import Job
from benchmarks.networks import Training, batches_of, pna_network, pyg_graphs
from benchmarks.pyg_network import PyGNetwork
from hydrasurr.graphs import GraphTable
from hydrasurr.loading import GraphBatch
from hydrasurr.models.network import GraphNetwork

FP32, BF16_OUTPUT, BF16_GRADIENT, BF16_LOSS = 1e-3, 0.03, 0.2, 0.1
"""Bounds of `relative`. An fp32 output is usually right to 1e-5, its gradients to 1e-4; bf16 keeps 8 bits, and where it
takes another message for the largest one, the gradient goes another way."""


def run(job: Job) -> None:
    """Each check on its own, so that one that fails does not hide the others."""
    for check in (against_float64, against_pyg, bf16, all_reduce):
        try:
            check(job)
        except Exception as error:
            job.check(f"{check.__name__} ({type(error).__name__}: {error})", float("nan"), 0)


def against_float64(job: Job) -> None:
    """Output and all gradients in fp32 on the device; and the same bits when computed again."""
    network, table = _case(job)
    exact = _derivatives(copy.deepcopy(network).double(), GraphBatch.from_table(table))
    network, batch = network.to(job.device), GraphBatch.from_table(table).to(job.device)
    first, second = _derivatives(network, batch), _derivatives(network, batch)
    for what, ours, wanted, again in zip(("output", "gradient"), first, exact, second, strict=True):
        job.check(f"fp32 {what} against float64 on the CPU", relative(ours, wanted), FP32)
        job.check(f"fp32 {what} against itself, repeated", relative(again, ours), 0)


def against_pyg(job: Job) -> None:
    """The output of PyG's layers on the same device."""
    network, table = _case(job)
    network.to(job.device)
    peer = PyGNetwork(network).to(job.device)
    with torch.no_grad():
        ours = network(GraphBatch.from_table(table).to(job.device)).graph
        theirs = peer(Batch.from_data_list(pyg_graphs(table)).to(job.device))
    job.check("fp32 output against PyG on the same device", relative(ours, theirs), FP32)


def bf16(job: Job) -> None:
    """Forward, backward and training under bf16 autocast, close to fp32."""
    network, table = _case(job)
    network, batch = network.to(job.device), GraphBatch.from_table(table).to(job.device)
    exact, rounded = _derivatives(network, batch), _derivatives(network, batch, _autocast(job))
    job.check("bf16 output against fp32", relative(rounded[0], exact[0]), BF16_OUTPUT)
    job.check("bf16 gradient against fp32", relative(rounded[1], exact[1]), BF16_GRADIENT)
    curves = []
    for context in (nullcontext(), _autocast(job)):
        mine = copy.deepcopy(network)
        training = Training(mine, lambda batch, mine=mine: mine(batch).graph, mine, fused=True)
        with context:
            curves.append([float(training.step(batch)) for _ in range(job.size(50, 5))])
    (first, *_, last), (*_, rounded_last) = curves
    what = f"bf16 loss after {len(curves[0])} steps against fp32, relative to the first loss"
    job.check(what, abs(rounded_last - last) / first, BF16_LOSS)


def all_reduce(job: Job) -> None:
    """A sum over one rank: NCCL on a GPU, Gloo else."""
    backend = "nccl" if job.on_gpu else "gloo"
    values = torch.randn(1 << 20, device=job.device)
    reduced = values.clone()
    store = dist.TCPStore("127.0.0.1", 0, world_size=1, is_master=True)
    dist.init_process_group(backend, store=store, rank=0, world_size=1)
    try:
        dist.all_reduce(reduced)
        job.synchronize()
    finally:
        dist.destroy_process_group()
    job.check(f"{backend} all-reduce of one rank against its input", relative(reduced, values), 0)


def relative(value: Tensor, reference: Tensor) -> float:
    """`|value - reference| / |reference|` in the 2-norm; NaN if anything is not finite."""
    value, reference = value.double().cpu(), reference.double().cpu()
    return float((value - reference).norm() / reference.norm())


def _case(job: Job) -> tuple[GraphNetwork, GraphTable]:
    """A network in training mode and a batch of 128 molecules."""
    width, layers = job.size(55, 16), job.size(6, 2)
    [table] = batches_of(job.table, job.size(128, 32), 1)
    return pna_network(job.table, width, layers).train(), table


def _autocast(job: Job) -> AbstractContextManager:
    return torch.autocast(job.device.type, torch.bfloat16)


def _derivatives(
    network: nn.Module, batch: GraphBatch, context: AbstractContextManager | None = None
) -> tuple[Tensor, Tensor]:
    """The output, and the gradients of the mean of its squares, all in one vector."""
    network.zero_grad()
    with context or nullcontext():
        output = network(batch).graph
    output.square().mean().backward()
    return output.detach(), torch.cat([parameter.grad.flatten() for parameter in network.parameters()])
