"""Random orders of very many numbers, of which only a part is wanted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

DRAWN_WHOLE = 1 << 20
"""Up to this size an order is drawn as a whole: 8 MB."""
ROUNDS = 8
_MULTIPLIERS = np.array([0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93], np.uint64)  # odd, with bits evenly set


def permutation(size: int, seed: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
    """A random order of `range(size)`: a function from places (int64 `[n]`) to the numbers there (int64 `[n]`)."""
    if size <= DRAWN_WHOLE:
        return np.random.default_rng(seed).permutation(size).__getitem__
    return FeistelPermutation(size, seed)


class FeistelPermutation:
    """An order that is computed place by place, in memory for the places asked for.

    A Feistel network (Luby and Rackoff, SIAM J. Comput. 17, 373, 1988) over the two halves of a number's bits: each
    round changes one half by a keyed hash of the other one, which can be undone, so that it permutes the numbers of
    so many bits. A result beyond the size goes through the network again until it is within ("cycle walking", Black
    and Rogaway, CT-RSA 2002), fewer than twice on average; this permutes `range(size)`.
    """

    def __init__(self, size: int, seed: tuple[int, ...]):
        self.size = size
        bits = max((size - 1).bit_length(), 2)
        self._low_bits, self._high_bits = bits // 2, bits - bits // 2
        self._keys = np.random.default_rng(seed).integers(0, 1 << 64, ROUNDS, np.uint64)

    def __call__(self, places: np.ndarray) -> np.ndarray:
        numbers = self._network(places.astype(np.uint64))
        outside = np.flatnonzero(numbers >= self.size)
        while len(outside):
            numbers[outside] = further = self._network(numbers[outside])
            outside = outside[further >= self.size]
        return numbers.astype(np.int64)

    def _network(self, numbers: np.ndarray) -> np.ndarray:
        high, low = numbers >> self._low_bits, numbers & ((1 << self._low_bits) - 1)
        for high_key, low_key in self._keys.reshape(-1, 2):
            high ^= _hash(low ^ high_key, self._high_bits)
            low ^= _hash(high ^ low_key, self._low_bits)
        return high << self._low_bits | low


def _hash(numbers: np.ndarray, bits: int) -> np.ndarray:
    """`bits` bits that depend on all bits of uint64 numbers, which are overwritten."""
    for multiplier in _MULTIPLIERS:
        numbers *= multiplier
        numbers ^= numbers >> 32
    return numbers >> (64 - bits)
