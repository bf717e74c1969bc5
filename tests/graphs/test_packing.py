"""Codes packed into integers, against arithmetic on Python's integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hydrasurr.errors import SchemaError
from hydrasurr.graphs import molecule_schema
from hydrasurr.graphs.packing import Packing

SIZES = st.lists(st.integers(1, 256), min_size=0, max_size=8)


@given(SIZES, st.integers(0, 20), st.data())
def test_there_and_back(sizes: list[int], rows: int, data: st.DataObject) -> None:
    columns = [data.draw(arrays.arrays(np.uint8, rows, elements=st.integers(0, size - 1))) for size in sizes]
    codes = np.stack(columns, 1) if columns else np.empty((rows, 0), np.uint8)
    packing = Packing(sizes)
    packed = packing.pack(codes)
    assert packed.shape == (rows,) and packed.dtype == packing.dtype
    for number, row in zip(packed.tolist(), codes.tolist(), strict=True):
        digits = 0
        for code, size in zip(reversed(row), reversed(sizes), strict=True):
            digits = (digits << (size - 1).bit_length()) + code
        assert number == digits
    unpacked = packing.unpack(packed)
    assert unpacked.dtype == np.uint8
    np.testing.assert_array_equal(unpacked, codes)


def test_molecules_take_four_bytes_a_node_and_one_an_edge() -> None:
    schema = molecule_schema()
    assert Packing(schema.node_sizes).dtype == np.uint32
    assert Packing(schema.edge_sizes).dtype == np.uint8


def test_code_beyond_its_bits() -> None:
    with pytest.raises(SchemaError, match="code 4 of feature 1 does not fit the schema's 2 bits"):
        Packing([2, 3]).pack(np.array([[0, 3], [1, 4]], np.uint8))


def test_too_many_features() -> None:
    with pytest.raises(SchemaError, match="features of 72 bits do not fit one integer of 64"):
        Packing([256] * 9)
