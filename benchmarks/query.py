"""Questions to a surrogate, one molecule or many, against the way through PyG."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from rdkit import Chem
from torch import nn
from torch_geometric.data import Batch

import hydrasurr
from benchmarks.measure import interleaved
from benchmarks.molecules import Setting, graphs, smiles
from benchmarks.networks import batches_of, ours, pna_network
from benchmarks.pyg_molecules import pyg_data
from benchmarks.pyg_network import PyGNetwork
from benchmarks.result import Bar, Result
from hydrasurr.loading import GraphBatch
from hydrasurr.models.ensemble import Ensemble
from hydrasurr.models.network import GraphNetwork
from hydrasurr.models.package import load_package, save_package
from hydrasurr.surrogate import Surrogate

WIDTH = 55
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3}
"""Largest difference of predictions, in standard deviations of the predictions."""


def run(setting: Setting) -> Result:
    """Both sides have the same weights and batch size; their answers are compared."""
    result = Result(
        "query",
        f"Surrogate.predict from SMILES, 6 PNA layers of width {WIDTH}, one thread; against RDKit -> PyG Data -> Batch "
        "-> the same network of PyG's PNAConv",
        minimal=setting.minimal,
    )
    for source in setting.sources():
        path = setting.cache / f"{source.lower()}_surrogate.safetensors"
        write_model(setting, source, path)
        surrogate = hydrasurr.load(path)
        peer = Peer(load_package(path).networks[0], surrogate.batch_size)
        _many(result, setting, source, surrogate, peer)
        _one(result, setting, source, surrogate, peer)
    return result


def write_model(setting: Setting, source: str, path: Path) -> None:
    """A model file. A few steps of training give its norms the statistics of the molecules, as a trained model's."""
    table = graphs(setting, source, setting.size(20_000, 500))
    network = pna_network(table, WIDTH)
    training = ours(network)
    for batch in batches_of(table, 128, setting.size(20, 2)):
        training.step(GraphBatch.from_table(batch))
    save_package(path, [network.eval()], {})


class Peer:
    """The same questions answered with PyG."""

    def __init__(self, network: GraphNetwork, batch_size: int):
        self.network: nn.Module = PyGNetwork(network).to(network.dtype).eval()
        self.mean, self.std = network.mean, network.std
        self.batch_size = batch_size

    @torch.inference_mode()
    def predict(self, smiles: Sequence[str]) -> np.ndarray:
        """float64 `[molecules, 1]`"""
        parts = []
        for start in range(0, len(smiles), self.batch_size):
            batch = Batch.from_data_list([pyg_data(text) for text in smiles[start : start + self.batch_size]])
            parts.append(self.network(batch).double() * self.std + self.mean)
        return torch.cat(parts).numpy()


def _many(result: Result, setting: Setting, source: str, surrogate: Surrogate, peer: Peer) -> None:
    texts = smiles(source, setting.size(10_000, 100))
    answers = {}

    def ask(name: str, predict: Callable[[Sequence[str]], np.ndarray]) -> int:
        answers[name] = predict(texts)
        return len(texts)

    timing = interleaved(
        {
            "hydrasurr": lambda: ask("hydrasurr", lambda texts: surrogate.predict(texts).values),
            "PyG": lambda: ask("PyG", peer.predict),
        },
        setting.repeats,
    )
    rounding = difference(answers["hydrasurr"], answers["PyG"], torch.float32)
    for name, times in timing.items():
        rates = {"molecules/s": times.rate, "molecules/CPU-s": times.cpu_rate, "median ms": ""}
        result.rows.append({"molecules": source, "asked": f"{len(texts):,} at once", "by": name, **rates})
    result.bars.append(Bar(f"{source}: {len(texts):,} molecules", timing["hydrasurr"].over(timing["PyG"]), 3, 6))
    result.notes.append(
        f"{source}: predictions differ by at most {rounding:.0e} of their standard deviation, "
        f"in float64 by {_exact_difference(surrogate, texts[:200]):.0e}"
    )


def _exact_difference(surrogate: Surrogate, texts: Sequence[str]) -> float:
    """Both ways in float64."""
    network = copy.deepcopy(surrogate.ensemble.networks[0]).double()
    ours = Surrogate(Ensemble([network])).predict(texts).values
    return difference(ours, Peer(network, surrogate.batch_size).predict(texts), torch.float64)


def difference(values: np.ndarray, others: np.ndarray, dtype: torch.dtype) -> float:
    """The largest, in standard deviations. Raises AssertionError if it is more than rounding to `dtype` explains."""
    largest = float(np.abs(values - others).max() / others.std())
    assert largest < TOLERANCE[dtype], f"predictions in {dtype} differ by {largest:.1e} standard deviations"
    return largest


def _one(result: Result, setting: Setting, source: str, surrogate: Surrogate, peer: Peer) -> None:
    """Milliseconds of single calls."""
    texts = smiles(source, setting.size(300, 10))
    cases: dict[str, Callable[[str], object]] = {
        "hydrasurr": surrogate.predict,
        "PyG": lambda text: peer.predict([text]),
        "RDKit, parse + AddHs": lambda text: Chem.AddHs(Chem.MolFromSmiles(text)),
    }
    times = _latencies(cases, texts, setting.repeats, by_call=False)
    for name, each in times.items():
        result.rows.append({"molecules": source, "asked": "one", "by": name, "median ms": statistics.median(each)})
    result.bars.append(
        Bar(f"{source}: one molecule, above RDKit's own time", _above(times), 2, 1, at_most=True, unit=" ms")
    )
    cold = _above(_latencies(cases, texts, setting.repeats, by_call=True))
    result.notes.append(
        f"{source}: calls of one kind follow one another, as those of a program do; where each call follows one of "
        f"PyG, which leaves the caches cold, one molecule takes {cold:.2f} ms above RDKit's own time"
    )


def _above(times: dict[str, list[float]]) -> float:
    """Median over calls of hydrasurr's milliseconds less RDKit's for the same molecule."""
    pairs = zip(times["hydrasurr"], times["RDKit, parse + AddHs"], strict=True)
    return statistics.median(ours - rdkit for ours, rdkit in pairs)


def _latencies(
    cases: dict[str, Callable[[str], object]], texts: list[str], repeats: int, by_call: bool
) -> dict[str, list[float]]:
    """Milliseconds of single calls; the cases take turns by call, or by round over all molecules."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    calls = [(name, text) for text in texts for name in cases]
    if not by_call:
        calls.sort(key=lambda call: list(cases).index(call[0]))
    for turn in range(1 + repeats):
        for name, text in calls:
            start = time.perf_counter()
            cases[name](text)
            if turn:
                times[name].append(1000 * (time.perf_counter() - start))
    return times
