from __future__ import annotations

from itertools import combinations

import pytest
import torch

from hydrasurr.models.aggregate import aggregate

NAMES = ("mean", "min", "max", "std", "sum", "var")
REFERENCE = {
    "mean": lambda m: m.mean(0),
    "min": lambda m: m.amin(0),
    "max": lambda m: m.amax(0),
    "std": lambda m: m.std(0, correction=0),
    "sum": lambda m: m.sum(0),
    "var": lambda m: m.var(0, correction=0),
}


@pytest.mark.parametrize("names", [*combinations(NAMES, 1), *combinations(NAMES, 2), NAMES, NAMES[::-1]])
def test_values_and_gradients_equal_torch_reductions(names):
    generator = torch.Generator().manual_seed(len(names))
    messages = torch.randn(4, 7, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    expected = torch.cat([REFERENCE[name](messages) for name in names], 1)
    ours = aggregate(messages, names)
    torch.testing.assert_close(ours, expected)
    seed = torch.randn(ours.shape, dtype=torch.float64, generator=generator)
    (wanted,) = torch.autograd.grad(expected, messages, seed)
    (got,) = torch.autograd.grad(ours, messages, seed)
    torch.testing.assert_close(got, wanted)


def test_equal_messages_share_the_gradient_of_an_extreme_and_have_no_std():
    messages = torch.ones(3, 1, 1, dtype=torch.float64, requires_grad=True)
    out = aggregate(messages, ("max", "std"))
    assert out.tolist() == [[1, 0]]
    out.sum().backward()
    torch.testing.assert_close(messages.grad.flatten(), torch.full((3,), 1 / 3, dtype=torch.float64))


def test_small_spread_of_large_messages_survives_single_precision():
    """The mean of squares minus the squared mean would lose all digits here."""
    offsets = torch.tensor([-0.5, 0.0, 0.5]).view(3, 1, 1)
    out = aggregate(1e4 + offsets, ("std",))
    torch.testing.assert_close(out, REFERENCE["std"](offsets.double()).float())


def test_second_derivatives_are_refused_instead_of_wrong():
    messages = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(aggregate(messages, ("var",)).square().sum(), messages, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()
