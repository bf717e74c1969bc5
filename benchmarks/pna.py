"""The network's step against the same network of PyG's PNAConv."""

from __future__ import annotations

import torch
from torch_geometric.data import Batch

from benchmarks.measure import interleaved
from benchmarks.molecules import Setting, graphs
from benchmarks.networks import batches_of, ours, peers, pna_network, pyg_graphs
from benchmarks.result import Bar, Result
from hydrasurr.graphs import GraphTable
from hydrasurr.loading import GraphBatch

BATCH = 128
BARS = {55: (2.5, 4.0), 200: (3.0, 5.0)}


def run(setting: Setting) -> Result:
    """Forward, backward and AdamW of 6 layers; the peer has the same weights and sees the same batches."""
    result = Result(
        "pna",
        f"forward + backward + AdamW, 6 PNA layers with bond features, batch {BATCH}, one thread; "
        "against the same network of PyG's PNAConv",
        minimal=setting.minimal,
    )
    for source in setting.sources():
        table = graphs(setting, source, setting.size(20_000, 500))
        for width, (bar, dream) in BARS.items():
            _compare(result, setting, source, table, width, bar, dream)
    return result


def _compare(
    result: Result, setting: Setting, source: str, table: GraphTable, width: int, bar: float, dream: float
) -> None:
    tables = batches_of(table, BATCH, setting.size(4, 1))
    our_batches = [GraphBatch.from_table(t) for t in tables]
    peer_batches = [Batch.from_data_list(pyg_graphs(t)) for t in tables]
    network = pna_network(table, width)
    peer, mine = peers(network), ours(network)

    def steps(training, batches) -> int:
        for batch in batches:
            training.step(batch)
        return BATCH * len(batches)

    timing = interleaved(
        {"hydrasurr": lambda: steps(mine, our_batches), "PyG": lambda: steps(peer, peer_batches)}, setting.repeats
    )
    for name in timing:
        rates = {"graphs/s": timing[name].rate, "graphs/CPU-s": timing[name].cpu_rate}
        result.rows.append({"molecules": source, "width": width, "network": name, **rates})
    ratio = timing["hydrasurr"].over(timing["PyG"])
    result.bars.append(Bar(f"{source}, width {width}: hydrasurr / PyG", ratio, bar, dream))
    result.notes.append(f"{source}, width {width}: {loss_difference(table, width, setting.size(50, 3))}")


def loss_difference(table: GraphTable, width: int, steps: int) -> str:
    """Train both from the same weights in float64 and say by how much their losses ever differ.

    Raises AssertionError if it is more than rounding.
    """
    torch.set_default_dtype(torch.float64)
    try:
        network = pna_network(table, width)
        peer, mine = peers(network), ours(network)
        worst = 0.0
        for batch in batches_of(table, 32, steps, seed=1):
            expected = float(peer.step(Batch.from_data_list(pyg_graphs(batch))))
            worst = max(worst, abs(float(mine.step(GraphBatch.from_table(batch))) - expected) / expected)
    finally:
        torch.set_default_dtype(torch.float32)
    assert worst < 1e-6, f"losses differ by {worst:.1e}"
    return f"losses over {steps} steps in float64 differ by at most {worst:.0e} (relative)"
