"""Gradients sent as two thin factors; what these miss is sent later."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from hydrasurr.training.compression.compressor import Compressor, Parameters
from hydrasurr.training.gradient_group import GradientGroup

WORTH = 1.5
"""Factors are sent instead of a matrix that has more than so many times their numbers."""


class PowerSGD(Compressor):
    """PowerSGD with error feedback and warm start (Vogels et al. 2019, arXiv:1905.13727, Algorithms 1 and 2).

    Of the gradient G `[a, b]` of a matrix, with the error E that this rank has kept of it and the factor Q `[b, r]` of
    the step before:

        M = G + E,   P = mean(M Q),   P <- orthonormal basis of its columns,   Q_own = M^T P,   Q = mean(Q_own),

    the averaged gradient is P Q^T, the projection of the mean of M on the columns of P, and E = M - P Q_own^T. That the
    error is taken of this rank's own projection changes nothing of its mean over the ranks, which is all that the
    results depend on; but with P Q^T in its place the difference of ranks would add up in it for ever.

    Gradients with more dimensions are matrices with one row for each place of the first. Whole are sent: vectors,
    matrices not worth it, and everything in the first `start` steps. A step takes two all-reduces for each bucket.

    Parameters
    ----------
    rank : r, columns of the factors
    start : steps that send gradients whole
    seed : of the first Q
    """

    def __init__(
        self, name: str, group: GradientGroup, parameters: Parameters, step: int, rank: int, start: int, seed: int = 0
    ):
        super().__init__(name, group, parameters, step)
        self._start = start
        shapes = {number: _as_matrix(shape) for number, shape in enumerate(parameters.shapes)}
        shapes = {number: shape for number, shape in shapes.items() if worthwhile(shape, rank)}
        self.errors = self.errors.new_zeros(sum(rows * columns for rows, columns in shapes.values()))
        generator = torch.Generator().manual_seed(seed)
        numbers = sum(columns * rank for _, columns in shapes.values())
        self.shared = torch.randn(numbers, generator=generator, dtype=torch.float64).to(self.errors)
        errors = self.errors.split([rows * columns for rows, columns in shapes.values()])
        factors = self.shared.split([columns * rank for _, columns in shapes.values()])
        self._memory = {
            number: _Memory(error.view(shape), factor.view(-1, rank))
            for (number, shape), error, factor in zip(shapes.items(), errors, factors, strict=True)
        }

    def _average(self, bucket: dist.GradBucket) -> None:
        gradients = dict(zip(self.parameters.in_bucket(bucket), bucket.gradients(), strict=True))
        # In the network's order: sums over more than two ranks depend, in their last bit, on places in a message.
        numbers = sorted(gradients)
        factorised = [n for n in numbers if n in self._memory] if self.step >= self._start else []
        whole = [gradients[n] for n in numbers if n not in factorised]
        memory = [self._memory[n] for n in factorised]

        matrices = [gradients[n].reshape(m.error.shape) + m.error for n, m in zip(factorised, memory, strict=True)]
        products = [matrix @ m.factor for matrix, m in zip(matrices, memory, strict=True)]
        means = self.group.mean(products + whole)
        lefts = [orthonormal(product) for product in means[: len(products)]]
        own = [matrix.T @ left for matrix, left in zip(matrices, lefts, strict=True)]
        rights = self.group.mean(own)

        for gradient, mean in zip(whole, means[len(products) :], strict=True):
            gradient.copy_(mean)
        for n, m, matrix, left, right, mine in zip(factorised, memory, matrices, lefts, rights, own, strict=True):
            gradients[n].copy_((left @ right.T).view(gradients[n].shape))
            torch.sub(matrix, left @ mine.T, out=m.error)
            m.start_from(right)


@dataclass(frozen=True)
class _Memory:
    """Of a matrix `[a, b]`: its error and the factor `[b, r]` of the last step, parts of the compressor's tensors."""

    error: Tensor
    factor: Tensor

    def start_from(self, right: Tensor) -> None:
        """Take over the factor, its columns scaled to 1; those of zeros would stay zero for ever, and do not count."""
        largest = right.abs().amax(0)
        self.factor.copy_(torch.where(largest > 0, right / largest, self.factor))


def orthonormal(matrix: Tensor) -> Tensor:
    """`[a, r]` with orthonormal columns whose span has that of `matrix`, by Householder's QR.

    It divides by no column's length: columns that are zero, or that depend on others, give some directions, along
    which a projection is as good as along any.
    """
    return torch.linalg.qr(matrix).Q


def worthwhile(shape: tuple[int, int], rank: int) -> bool:
    """Whether a matrix is sent as factors of so many columns."""
    rows, columns = shape
    return WORTH * rank * (rows + columns) < rows * columns


def _as_matrix(shape: torch.Size) -> tuple[int, int]:
    """A vector is a matrix of one column, which factors are never worth."""
    return (shape[0], shape[1:].numel()) if shape else (1, 1)
