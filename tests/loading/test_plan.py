"""Who sees which graphs when: properties for any number of graphs, ranks, blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.loading.permutation import DRAWN_WHOLE
from hydrasurr.loading.plan import Share, block_windows, exact_batches, steps_per_epoch

counts = st.integers(0, 200)
batch_sizes = st.integers(1, 40)
worlds = st.integers(1, 9)
seeds = st.integers(0, 2**31)
epochs = st.integers(0, 1000)
block_sizes = st.lists(st.integers(0, 30), max_size=12)
buffers = st.integers(1, 100)


def everyone(world_size: int) -> list[Share]:
    return [Share(rank, world_size) for rank in range(world_size)]


def batches_of(graphs: int, batch_size: int, share: Share, seed: int, epoch: int, first: int = 0) -> list[list[int]]:
    return [batch.tolist() for batch in exact_batches(graphs, batch_size, share, seed, epoch, first)]


# -- exact global shuffle ------------------------------------------------------------------------------


@given(counts, batch_sizes, worlds, seeds, epochs)
def test_shares(graphs: int, batch_size: int, world_size: int, seed: int, epoch: int) -> None:
    """Disjoint, equally long, and complete but for `graphs mod world_size`."""
    shares = [batches_of(graphs, batch_size, share, seed, epoch) for share in everyone(world_size)]
    lengths = [[len(batch) for batch in share] for share in shares]
    assert all(length == lengths[0] for length in lengths)
    seen = [graph for share in shares for batch in share for graph in batch]
    assert len(seen) == len(set(seen)) == graphs - graphs % world_size
    assert set(seen) <= set(range(graphs))
    assert len(lengths[0]) == steps_per_epoch(graphs, batch_size, Share(0, world_size))
    assert all(length == batch_size for length in lengths[0][:-1])
    assert all(0 < length <= batch_size for length in lengths[0][-1:])


@given(counts, batch_sizes, worlds, seeds, epochs)
def test_ranks_together_see_what_one_would(graphs: int, batch: int, world_size: int, seed: int, epoch: int) -> None:
    """`W` ranks with batches of `B`: in each step the graphs of one rank with batches of `W B`."""
    whole = graphs - graphs % world_size
    alone = [graph for step in batches_of(graphs, batch * world_size, Share(), seed, epoch) for graph in step][:whole]
    ranks = [batches_of(graphs, batch, share, seed, epoch) for share in everyone(world_size)]
    for step, together in enumerate(zip(*ranks, strict=True)):
        size = sum(map(len, together))
        start = step * batch * world_size
        assert sorted(graph for part in together for graph in part) == sorted(alone[start : start + size])


@given(counts, batch_sizes, worlds, seeds, epochs, st.data())
def test_resume(graphs: int, batch_size: int, world_size: int, seed: int, epoch: int, data: st.DataObject) -> None:
    share = Share(data.draw(st.integers(0, world_size - 1)), world_size)
    whole = batches_of(graphs, batch_size, share, seed, epoch)
    first = data.draw(st.integers(0, len(whole) + 1))
    assert batches_of(graphs, batch_size, share, seed, epoch, first) == whole[first:]


def test_every_epoch_and_seed_has_an_order_of_its_own() -> None:
    orders = {tuple(batches_of(100, 100, Share(), seed, epoch)[0]) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25
    assert all(sorted(order) == list(range(100)) for order in orders)


def test_graphs_left_out_change_from_epoch_to_epoch() -> None:
    left_out = set()
    for epoch in range(40):
        seen = {graph for share in everyone(4) for batch in batches_of(11, 2, share, 0, epoch) for graph in batch}
        left_out |= set(range(11)) - seen
    assert left_out == set(range(11))


def test_every_place_is_equally_likely() -> None:
    """Over many epochs each graph is in the first batch as often as any other: chi-squared, 49 degrees of freedom."""
    epochs = 2000
    first = np.concatenate([next(exact_batches(50, 10, Share(), 3, epoch)) for epoch in range(epochs)])
    expected = epochs * 10 / 50
    chi_squared = ((np.bincount(first, minlength=50) - expected) ** 2 / expected).sum()
    assert chi_squared < 49 + 4 * np.sqrt(2 * 49)


@pytest.mark.parametrize("world_size, batch_size", [(3, 1000), (2, 100_000)])
def test_splits_whose_order_is_not_drawn_whole(world_size: int, batch_size: int) -> None:
    """Shares as above, the graphs of one rank in each step, and a start in the middle."""
    graphs = DRAWN_WHOLE + 1001
    shares = [list(exact_batches(graphs, batch_size, share, 1, 2)) for share in everyone(world_size)]
    length = graphs // world_size
    sizes = [batch_size] * (length // batch_size) + [length % batch_size]
    assert all([len(batch) for batch in share] == sizes for share in shares)
    seen = np.concatenate([batch for share in shares for batch in share])
    assert np.bincount(seen, minlength=graphs).max() == 1
    alone = np.concatenate(list(exact_batches(graphs, batch_size * world_size, Share(), 1, 2)))
    for step, together in enumerate(zip(*shares, strict=True)):
        start = step * batch_size * world_size
        expected = alone[start : start + sum(map(len, together))]
        assert np.array_equal(np.concatenate(together), expected)
    middle = len(sizes) // 2
    resumed = exact_batches(graphs, batch_size, Share(0, world_size), 1, 2, middle)
    for batch, expected in zip(resumed, shares[0][middle:], strict=True):
        assert np.array_equal(batch, expected)


# -- contiguous parts ----------------------------------------------------------------------------------


@given(counts, worlds)
def test_contiguous_parts(size: int, world_size: int) -> None:
    parts = [range(*share.contiguous(size)) for share in everyone(world_size)]
    assert [k for part in parts for k in part] == list(range(size))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("rank, world_size", [(-1, 2), (2, 2), (0, 0)])
def test_no_such_rank(rank: int, world_size: int) -> None:
    with pytest.raises(ValueError, match=f"rank {rank} outside a world of {world_size}"):
        Share(rank, world_size)


# -- windows of blocks ---------------------------------------------------------------------------------


def graphs_of(sizes: list[int], share: Share, seed: int, epoch: int, buffer: int) -> list[list[int]]:
    """The graphs of each window, in the order in which they are read; checks the windows on the way."""
    offset = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    position, windows = 0, []
    for window in block_windows(offset, share, seed, epoch, buffer):
        read = [graph for start, stop in window.ranges for graph in range(start, stop)]
        assert window.start == position and window.stop == position + len(read)
        assert sorted(window.shuffle()) == list(range(len(read)))
        for start, stop in window.ranges:
            block = np.searchsorted(offset, start, side="right") - 1
            assert offset[block] <= start < stop <= offset[block + 1], "a read stays within a block"
        position = window.stop
        windows.append(read)
    assert all(len(read) >= buffer for read in windows[:-1])
    return windows


@given(block_sizes, worlds, seeds, epochs, buffers)
def test_windows(sizes: list[int], world_size: int, seed: int, epoch: int, buffer: int) -> None:
    """For any blocks, also empty ones, and more ranks than blocks or graphs."""
    shares = [
        [graph for window in graphs_of(sizes, share, seed, epoch, buffer) for graph in window]
        for share in everyone(world_size)
    ]
    graphs = sum(sizes)
    assert {len(share) for share in shares} == {graphs // world_size}
    seen = [graph for share in shares for graph in share]
    assert len(seen) == len(set(seen)) == graphs - graphs % world_size
    assert set(seen) <= set(range(graphs))


@given(block_sizes, worlds, seeds, epochs)
def test_few_blocks_are_read_twice(sizes: list[int], world_size: int, seed: int, epoch: int) -> None:
    """Ranks cut the line of blocks once each, so at most `world_size` blocks are shared between ranks."""
    offset = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    reads = sum(
        len(window.ranges) for share in everyone(world_size) for window in block_windows(offset, share, seed, epoch, 50)
    )
    assert reads <= sum(size > 0 for size in sizes) + world_size


@pytest.mark.parametrize("sizes", [[], [0], [0, 0, 0], [3], [1, 0, 2]])
def test_more_ranks_than_graphs(sizes: list[int]) -> None:
    assert all(graphs_of(sizes, share, 0, 0, 10) == [] for share in everyone(4))


def test_one_block_for_three_ranks() -> None:
    parts = [graphs_of([10], share, 0, 0, 100) for share in everyone(3)]
    assert parts == [[[0, 1, 2]], [[3, 4, 5]], [[6, 7, 8]]]


def test_orders_change() -> None:
    """With the epoch and the seed: the order of the blocks and the order within windows; ranks differ too."""
    offset = np.arange(0, 2001, 100)
    orders, shuffles = set(), set()
    for seed in range(4):
        for epoch in range(4):
            for share in everyone(2):
                windows = list(block_windows(offset, share, seed, epoch, 500))
                orders.add(tuple(window.ranges for window in windows))
                shuffles |= {tuple(window.shuffle().tolist()) for window in windows}
    assert len(orders) == 4 * 4 * 2
    assert len(shuffles) == 4 * 4 * 2 * 2
