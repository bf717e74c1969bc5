"""Questions to a surrogate on the device, from ready graphs and, where RDKit is there, from SMILES."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch_geometric.data import Batch, Data

from benchmarks.gpu.job import Job
from benchmarks.measure import interleaved
from benchmarks.networks import pna_network, pyg_graphs
from benchmarks.pyg_network import PyGNetwork
from hydrasurr.models.ensemble import Ensemble
from hydrasurr.surrogate import Surrogate

WIDTH = 55
BATCHES = (256, 4096)


def run(job: Job) -> None:
    network = pna_network(job.table, WIDTH, job.size(6, 1)).eval()
    peer = PyGNetwork(network).eval().to(job.device)
    surrogate = Surrogate(Ensemble([network]), device=job.device)
    table = job.table[: job.size(40_000, 200)]
    graphs = pyg_graphs(table.select(("x", "edge_attr")))
    for batch_size in BATCHES[: job.size(2, 1)]:
        surrogate.batch_size = batch_size
        cases: dict[str, Callable[[], object]] = {
            "hydrasurr, from graphs": partial(surrogate.predict_table, table),
            "PyG, from Data": partial(_ask_peer, job, peer, graphs, batch_size),
        }
        if _has_rdkit():
            cases["hydrasurr, from SMILES"] = partial(surrogate.predict, table.smiles())
        timing = interleaved({name: partial(_count, case, len(table)) for name, case in cases.items()}, job.size(3, 1))
        for name, times in timing.items():
            job.row(measured="query", width=WIDTH, batch=batch_size, network=name, **{"graphs/s": times.rate})


def _has_rdkit() -> bool:
    try:
        import rdkit  # noqa: F401
    except ImportError:
        return False
    return True


def _count(case: Callable[[], object], graphs: int) -> int:
    case()
    return graphs


@torch.inference_mode()
def _ask_peer(job: Job, peer: PyGNetwork, graphs: Sequence[Data], batch_size: int) -> torch.Tensor:
    parts = [
        peer(Batch.from_data_list(graphs[start : start + batch_size]).to(job.device))
        for start in range(0, len(graphs), batch_size)
    ]
    return torch.cat(parts).cpu()
