"""The feature codes of a node or edge side by side in one integer, each in as many bits as its values need."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hydrasurr.errors import SchemaError


class Packing:
    """Codes `[n, features]` as `[n]` integers and back; molecules need 29 bits a node and 8 an edge.

    Parameters
    ----------
    sizes : number of values of each feature (1 to 256), first feature in the lowest bits

    Attributes
    ----------
    features : their number
    dtype : the smallest unsigned integer that holds them

    Raises SchemaError if they need more than 64 bits.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self._bits = [(size - 1).bit_length() for size in sizes]
        self._shifts = [sum(self._bits[:i]) for i in range(len(sizes))]
        self.features, width = len(sizes), sum(self._bits)
        if width > 64:
            raise SchemaError(f"features of {width} bits do not fit one integer of 64")
        self.dtype = next(np.dtype(f"u{size}") for size in (1, 2, 4, 8) if width <= 8 * size)

    def pack(self, codes: np.ndarray) -> np.ndarray:
        """uint8 `[n, features]` to `[n]`. Raises SchemaError for a code that its feature's bits cannot hold."""
        packed = np.zeros(len(codes), self.dtype)
        for place, (bits, shift) in enumerate(zip(self._bits, self._shifts, strict=True)):
            column = codes[:, place]
            if len(column) and int(column.max()) >> bits:
                raise SchemaError(f"code {column.max()} of feature {place} does not fit the schema's {bits} bits")
            packed |= column.astype(self.dtype) << self.dtype.type(shift)
        return packed

    def unpack(self, packed: np.ndarray) -> np.ndarray:
        """`[n]` to uint8 `[n, features]`."""
        codes = np.empty((len(packed), self.features), np.uint8)
        for place, (bits, shift) in enumerate(zip(self._bits, self._shifts, strict=True)):
            # Narrowing keeps the low byte, which holds the feature: no feature has more than eight bits.
            column = (packed >> self.dtype.type(shift)).astype(np.uint8)
            np.bitwise_and(column, np.uint8((1 << bits) - 1), out=codes[:, place])
        return codes
