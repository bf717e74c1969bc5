"""Drawing in proportion to priorities, and changing them, many at a time."""

from __future__ import annotations

import numpy as np


class SumTree:
    """Priorities of `capacity` places and their sums, pair by pair, up to the total; each operation O(log capacity).

    Attributes
    ----------
    capacity : places, 0 to capacity - 1; all begin with priority 0
    """

    def __init__(self, capacity: int):
        if capacity < 1:
            raise ValueError(f"a tree needs at least one place, not {capacity}")
        self.capacity = capacity
        self._leaves = 1 << (capacity - 1).bit_length()
        self._sums = np.zeros(2 * self._leaves)
        """The sum of node k is that of nodes 2k and 2k + 1; node 1 has all, the places begin at `_leaves`."""

    @property
    def total(self) -> float:
        return float(self._sums[1])

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        """float64: the priorities of places."""
        return self._sums[self._leaves + np.asarray(places)]

    def __setitem__(self, places: np.ndarray, priorities: np.ndarray) -> None:
        """Set priorities; of a place that is named twice the last one counts."""
        places = np.asarray(places, np.int64)
        if len(places) and not 0 <= places.min() <= places.max() < self.capacity:
            raise IndexError(f"place outside 0 to {self.capacity - 1}")
        priorities = np.broadcast_to(np.asarray(priorities, np.float64), places.shape)
        if not (priorities >= 0).all() or not np.isfinite(priorities).all():
            raise ValueError("priorities must be finite and not negative")
        self._sums[self._leaves + places] = priorities
        nodes = np.unique((self._leaves + places) >> 1)
        while len(nodes) and nodes[0]:
            self._sums[nodes] = self._sums[2 * nodes] + self._sums[2 * nodes + 1]
            nodes = np.unique(nodes >> 1)

    def find(self, masses: np.ndarray) -> np.ndarray:
        """int64: for each mass in `[0, total)` the place in which it lies, places laid end to end by priority.

        A place of priority 0 is never found, unless all are.
        """
        masses = np.array(masses, np.float64)
        nodes = np.ones(masses.shape, np.int64)
        while nodes.size and nodes.flat[0] < self._leaves:
            nodes <<= 1
            left = self._sums[nodes]
            right = (masses >= left) & (self._sums[nodes + 1] > 0)  # rounding must not lead where nothing is
            masses -= np.where(right, left, 0)
            nodes += right
        return nodes - self._leaves

    def sample(self, count: int, random: np.random.Generator) -> np.ndarray:
        """int64 `[count]`: places drawn with their priorities, one from each of `count` equal parts of the total.

        Raises ValueError if all priorities are 0.
        """
        if not self.total > 0:
            raise ValueError("all priorities are 0: there is nothing to draw")
        return self.find((np.arange(count) + random.random(count)) * (self.total / count))
