"""The parts of PowerSGD, on matrices of all kinds."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hydrasurr.training.compression.powersgd import orthonormal, worthwhile


@st.composite
def _matrices(draw: st.DrawFn) -> Tensor:
    """[a, r] with r <= a, float64; some columns zero, some equal to others."""
    rows = draw(st.integers(1, 12))
    columns = draw(st.integers(1, rows))
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(draw(st.integers(0, 99)))).double()
    matrix *= 10.0 ** draw(st.integers(-30, 30))
    for column in draw(st.sets(st.integers(0, columns - 1))):
        matrix[:, column] = 0
    for column in draw(st.sets(st.integers(0, columns - 1))):
        matrix[:, column] = matrix[:, 0]
    return matrix


@given(_matrices())
def test_a_basis_is_orthonormal_and_spans_the_matrix(matrix: Tensor) -> None:
    basis = orthonormal(matrix)
    torch.testing.assert_close(basis.T @ basis, torch.eye(matrix.shape[1], dtype=torch.float64), rtol=0, atol=1e-13)
    error = (basis @ (basis.T @ matrix) - matrix).abs().max()
    assert error <= 1e-13 * matrix.abs().max()


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0, 1), st.integers(0, 99))
def test_with_full_rank_nothing_is_lost(rows: int, columns: int, decay: float, seed: int) -> None:
    """As many columns as the matrix has ranks, some of which may be weak: its projection is itself."""
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    matrix *= decay ** torch.arange(columns)
    rank = min(rows, columns)
    left = orthonormal(matrix @ torch.randn(columns, rank, generator=generator, dtype=torch.float64))
    error = (left @ (matrix.T @ left).T - matrix).abs().max()
    assert error <= 1e-8 * matrix.abs().max()


@pytest.mark.parametrize(
    ("shape", "rank", "expected"),
    [((100, 100), 4, True), ((100, 100), 34, False), ((100, 100), 33, True), ((55, 1), 1, False), ((1, 1), 1, False)],
)
def test_factors_are_sent_where_they_save(shape: tuple[int, int], rank: int, expected: bool) -> None:
    assert worthwhile(shape, rank) is expected
