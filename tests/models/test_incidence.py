from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.models.incidence import Incidence, stable_argsort


def dense(choice: torch.Tensor, num_rows: int) -> torch.Tensor:
    matrix = torch.zeros(len(choice), num_rows, dtype=torch.float64)
    for bag, columns in enumerate(choice.tolist()):
        for column in columns:
            matrix[bag, column] += 1
    return matrix


@given(st.integers(0, 9), st.integers(1, 3), st.integers(1, 6), st.integers(0, 2**16))
def test_gather_and_scatter_are_products_with_the_dense_matrix(bags, ones, num_rows, seed):
    generator = torch.Generator().manual_seed(seed)
    choice = torch.randint(0, num_rows, (bags, ones), generator=generator)
    incidence, matrix = Incidence(choice, num_rows), dense(choice, num_rows)
    rows = torch.randn(num_rows, 4, dtype=torch.float64, generator=generator)
    values = torch.randn(bags, 4, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(incidence.gather(rows), matrix @ rows)
    torch.testing.assert_close(incidence.scatter(values), matrix.T @ values)


def test_derivatives_of_both_orders():
    incidence = Incidence(torch.tensor([[0, 2], [2, 2], [1, 0]]), 4)
    rows = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    values = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    for function, inputs in ((incidence.gather, rows), (incidence.scatter, values)):
        assert torch.autograd.gradcheck(function, inputs)
        assert torch.autograd.gradgradcheck(lambda x, f=function: f(x).square(), inputs)


def test_an_index_beyond_the_rows_raises():
    with pytest.raises(RuntimeError, match="4"):
        Incidence(torch.tensor([[0, 4]]), 4).gather(torch.zeros(4, 3))


@pytest.mark.parametrize("bound", [10, 1 << 16, (1 << 16) + 1, 1 << 40])
def test_stable_argsort_keeps_the_order_of_equal_keys(bound):
    keys = torch.randint(0, bound, (500,))
    keys[::3] = bound - 1
    assert torch.equal(stable_argsort(keys, bound), torch.argsort(keys, stable=True))
