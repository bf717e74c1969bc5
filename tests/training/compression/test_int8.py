"""Messages of bytes: right on average, never far off, and exact about what is no number."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor

from hydrasurr.training.compression.int8 import CHUNK, SMALLEST, STEPS, chunk_lengths, decode, encode, noise_seed

NUMBERS = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False)
VALUES = arrays.arrays(np.float32, st.integers(1, 3 * CHUNK), elements=NUMBERS, fill=st.just(0.0)).map(torch.from_numpy)


def _lengths(values: Tensor) -> Tensor:
    return torch.tensor(chunk_lengths(len(values)))


def _scales(values: Tensor) -> Tensor:
    """[n] float64: what a step of a byte stands for, at each number."""
    chunks = values.double().abs().split(CHUNK)
    return torch.cat([torch.full_like(chunk, float(chunk.max()) / STEPS) for chunk in chunks]).clamp_min(SMALLEST)


@given(VALUES)
def test_the_mean_over_all_noise_is_the_number(values: Tensor) -> None:
    """Over noise at the midpoints of K equal parts of [0, 1), the share that is rounded up is right to 1 / (2 K)."""
    parts, lengths = 64, _lengths(values)
    noises = (torch.arange(parts) + 0.5) / parts
    decoded = [decode(encode(values, lengths, noise.expand(len(values))), lengths).double() for noise in noises]
    error = (torch.stack(decoded).mean(0) - values.double()).abs()
    assert (error <= _scales(values) * (0.5 / parts + 1e-4)).all()


@given(VALUES, st.integers(0, 1000))
def test_a_number_is_off_by_less_than_a_step(values: Tensor, seed: int) -> None:
    lengths = _lengths(values)
    noise = torch.rand(len(values), generator=torch.Generator().manual_seed(seed))
    message = encode(values, lengths, noise)
    assert message.dtype == torch.int8 and len(message) == len(values) + 4 * len(lengths)
    error = (decode(message, lengths).double() - values.double()).abs()
    assert (error <= _scales(values) * (1 + 1e-4)).all()


def test_drawn_noise_is_unbiased() -> None:
    """The mean of many draws is off by no more than five of its standard errors, which are at most step / 2 each."""
    draws, values = 4000, torch.linspace(-1, 1, 100)
    lengths, total = _lengths(values), torch.zeros(100, dtype=torch.float64)
    for step in range(draws):
        generator = torch.Generator().manual_seed(noise_seed(0, 0, step))
        total += decode(encode(values, lengths, torch.rand(100, generator=generator)), lengths)
    assert ((total / draws - values).abs() <= 5 * _scales(values) * 0.5 / draws**0.5).all()


def test_seeds_differ_by_seed_rank_and_step() -> None:
    assert len({noise_seed(*place) for place in np.ndindex(5, 5, 5)}) == 125


def test_zeros_and_the_smallest_numbers() -> None:
    values = torch.tensor([0.0, 1e-45, -1e-38, 0.0])
    lengths = _lengths(values)
    assert torch.equal(decode(encode(torch.zeros(4), lengths, torch.full((4,), 0.999)), lengths), torch.zeros(4))
    decoded = decode(encode(values, lengths, torch.rand(4)), lengths)
    assert decoded.isfinite().all() and decoded.abs().max() <= 2 * SMALLEST


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_stays_so(wrong: float) -> None:
    values = torch.ones(2 * CHUNK)
    values[3] = wrong
    lengths = _lengths(values)
    decoded = decode(encode(values, lengths, torch.rand(len(values))), lengths)
    assert not decoded[:CHUNK].isfinite().any()
    assert decoded[CHUNK:].isfinite().all()


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK + 7])
def test_chunks(size: int) -> None:
    lengths = chunk_lengths(size)
    assert sum(lengths) == size and max(lengths) <= CHUNK and len(lengths) == -(-size // CHUNK)
