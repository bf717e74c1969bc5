"""The plan of an epoch of a thousand million graphs on many ranks: its cost, and that no graph is seen twice."""

from __future__ import annotations

import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import numpy as np

from benchmarks.molecules import Setting
from benchmarks.result import Bar, Result
from hydrasurr.loading.plan import Share, Window, block_windows, exact_batches

BATCH, BUFFER, SEED, EPOCH = 128, 65_536, 0, 3
Ranges = tuple[np.ndarray, np.ndarray]
"""Starts and stops of runs of graphs."""


def run(setting: Setting, ranks: int) -> Result:
    """Plan an epoch as BatchLoader does, without graphs, in both ways to shuffle."""
    graphs = setting.size(1_000_000_000, 3_000_000)
    result = Result(
        "plan",
        f"the plan of an epoch of {graphs:,} graphs on {ranks:,} ranks, batch {BATCH}, for one rank",
        minimal=setting.minimal,
        command=f"python -m benchmarks loading --simulate-ranks {ranks}",
    )
    blocks = {size: block_offset(graphs, size) for size in (4096, 1024)}
    plans: dict[str, Callable[[Share], object]] = {
        "exact shuffle": lambda share: exhaust(exact_batches(graphs, BATCH, share, SEED, EPOCH)),
        "blocks of up to 4,096": lambda share: exhaust(window.shuffle() for window in windows(blocks[4096], share)),
        "blocks of up to 1,024": lambda share: exhaust(window.shuffle() for window in windows(blocks[1024], share)),
    }
    for name, plan in plans.items():
        seconds = statistics.median(_seconds(plan, Share(rank, ranks)) for rank in _sample(ranks, setting.size(16, 2)))
        megabytes = _peak(plan, Share(ranks // 2, ranks)) / 1e6
        result.rows.append({"plan": name, "s an epoch": seconds, "peak MB": megabytes})
        result.bars += [
            Bar(f"{name}: time", seconds, 0.5, at_most=True, unit=" s"),
            Bar(f"{name}: memory", megabytes, 100, at_most=True, unit=" MB"),
        ]
    result.notes += ["memory: all that Python and NumPy hold at a time for the plan; the table of blocks not counted"]
    result.notes += checks(setting, blocks[4096], ranks)
    return result


def checks(setting: Setting, blocks: np.ndarray, ranks: int) -> list[str]:
    """Look at the plans of many ranks together. Raises AssertionError if they are not what they must be."""
    graphs, few = int(blocks[-1]), setting.size(10_000_000, 200_000)
    everyone = [Share(rank, ranks) for rank in range(ranks)]
    chosen = [everyone[rank] for rank in _sample(ranks, setting.size(16, 4))]

    def exact(size: int, shares: list[Share]) -> Ranges:
        indices = np.concatenate([b for share in shares for b in exact_batches(size, BATCH, share, SEED, EPOCH)])
        return indices, indices + 1

    check_disjoint(exact(few, everyone), few, few // ranks * ranks)
    check_disjoint(exact(graphs, chosen), graphs, graphs // ranks * len(chosen))
    ranges = chain.from_iterable(window.ranges for share in everyone for window in windows(blocks, share))
    starts, stops = np.array(list(ranges)).T
    check_disjoint((starts, stops), graphs, graphs // ranks * ranks)
    return [
        f"exact shuffle: all {ranks:,} ranks of {few:,} graphs were planned, no graph came twice and only the "
        f"{few % ranks:,} left over by the division did not come",
        f"exact shuffle: so were {len(chosen)} ranks of {graphs:,} graphs drawn at random, and no graph came twice",
        f"blocks: all {ranks:,} ranks of {graphs:,} graphs in {len(blocks) - 1:,} blocks were planned, no graph came "
        f"twice and only the {graphs % ranks:,} left over did not come",
    ]


def check_disjoint(ranges: Ranges, graphs: int, expected: int) -> None:
    """Raise AssertionError unless no two ranges overlap, all are within `graphs`, and they hold `expected` graphs."""
    starts, stops = ranges
    order = np.argsort(starts)
    starts, stops = starts[order], stops[order]
    assert starts[0] >= 0 and stops[-1] <= graphs, f"graphs {starts[0]} to {stops[-1]} were planned of {graphs}"
    twice = np.flatnonzero(starts[1:] < stops[:-1])
    assert not len(twice), f"graph {starts[twice[0] + 1]} came twice"
    assert (stops - starts).sum() == expected, f"{(stops - starts).sum()} graphs were planned, {expected} expected"


def block_offset(graphs: int, rows: int) -> np.ndarray:
    """int64 `[B + 1]`: training graphs in chunks of `rows` rows, of which each is in the training split with 94 %."""
    rng = np.random.default_rng(0)
    sizes = rng.binomial(rows, 0.94, int(1.1 * graphs / rows) + 64)  # more than enough blocks
    offset = np.concatenate([[0], np.cumsum(sizes)])
    return np.append(offset[offset < graphs], graphs)


def windows(blocks: np.ndarray, share: Share) -> Iterator[Window]:
    return block_windows(blocks, share, SEED, EPOCH, BUFFER)


def exhaust(items: Iterable) -> None:
    for _ in items:
        pass


def _sample(ranks: int, count: int) -> list[int]:
    return sorted(np.random.default_rng(1).choice(ranks, min(count, ranks), replace=False).tolist())


def _seconds(plan: Callable[[Share], object], share: Share) -> float:
    start = time.perf_counter()
    plan(share)
    return time.perf_counter() - start


def _peak(plan: Callable[[Share], object], share: Share) -> int:
    """Bytes held at once, at most."""
    tracemalloc.start()
    try:
        plan(share)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
