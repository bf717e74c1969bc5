"""Training with compiled forces: the same numbers in less time, after a minute of compiling."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import Module

from hydrasurr.models.force_field.trace import example_edges, require_compiler, trace

SIZES = ((53, 331), (71, 467))
"""Atoms and edges of the examples that are traced."""


class CompiledSlopes:
    """Atomic energies of a force field and their slopes by edge vectors, compiled; differentiable by the weights.

    Compiles when it is called for the first time, for the device and type that the weights have then. Raises
    HydrasurrError if there is no C++ compiler.

    Parameters
    ----------
    field : a ForceField; its `atomic_energies` are compiled
    backend : of torch.compile; "aot_eager" derives all that "inductor" does and compiles nothing
    """

    def __init__(self, field: Module, backend: str = "inductor") -> None:
        require_compiler()
        self._energies, self._backend, self._compiled = _Energies(field), backend, None

    def __call__(self, numbers: Tensor, source: Tensor, destination: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
        """float64 `[N]` and `[E, 3]`."""
        parameters = dict(self._energies.named_parameters())
        if self._compiled is None:
            self._compiled = self._compile(parameters, numbers[0])
        return self._compiled(list(parameters.values()), numbers, source, destination, vector)

    def _compile(self, parameters: dict[str, Tensor], number: Tensor) -> Callable[..., tuple[Tensor, Tensor]]:
        def slopes(weights: list[Tensor], numbers: Tensor, source: Tensor, destination: Tensor, vector: Tensor):
            with torch.enable_grad():
                vector = vector.detach().requires_grad_()
                inputs = (numbers, source, destination, vector)
                atomic = functional_call(self._energies, dict(zip(parameters, weights, strict=True)), inputs)
                (slope,) = torch.autograd.grad(atomic.sum(), vector, create_graph=True)
            return atomic, slope

        weights = list(parameters.values())
        examples = []
        for atoms, edges in SIZES:
            tensors = (number.repeat(atoms), *example_edges(atoms, edges))
            examples.append((weights, *(tensor.to(number.device) for tensor in tensors)))
        return torch.compile(trace(slopes, *examples), dynamic=True, backend=self._backend)


class _Energies(Module):
    """`atomic_energies` as the forward of a module, which `functional_call` needs."""

    def __init__(self, field: Module) -> None:
        super().__init__()
        self.field = field

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.field.atomic_energies(*inputs)
