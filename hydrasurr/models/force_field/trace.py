"""Force fields as one graph of operations, those of the derivatives included, for PyTorch's compilers.

These cannot look into a function that differentiates. `make_fx` can: it records all operations as they happen, with
symbols for the numbers of atoms and edges. This is how NequIP prepares its models, too (arXiv:2504.16068).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental import _config
from torch.fx.experimental.proxy_tensor import make_fx

from hydrasurr.errors import HydrasurrError


def trace(function: Callable[..., Any], *examples: tuple[Any, ...]) -> GraphModule:
    """The operations of `function(*example)`, which can be differentiated once more.

    The examples have different sizes; all must give the same graph, otherwise it would hold for one size only, and
    a HydrasurrError is raised.
    """
    graphs = [_trace(function, example) for example in examples]
    if any(graph.code != graphs[0].code for graph in graphs):
        raise HydrasurrError("this force field does other operations at other numbers of atoms; it cannot be compiled")
    return graphs[0]


def _trace(function: Callable[..., Any], example: tuple[Any, ...]) -> GraphModule:
    # Otherwise two sizes that happen to be equal in the example would be taken for the same.
    with _config.patch(use_duck_shape=False):
        graph = make_fx(function, tracing_mode="symbolic", _allow_non_fake_inputs=True)(*example)
    # What autograd saves for the derivative it takes is recorded as detached, which would hide it from the next one.
    for node in list(graph.graph.nodes):
        if node.target is torch.ops.aten.detach.default:
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
    graph.recompile()
    return graph


def require_compiler() -> None:
    """Raise HydrasurrError if there is no C++ compiler."""
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        get_cpp_compiler()
    except Exception as error:  # InvalidCxxCompiler, whose place in torch differs from release to release
        raise HydrasurrError(
            "compiling a force field needs a C++ compiler, which was not found: install g++, or set CXX"
        ) from error


def example_edges(atoms: int, edges: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Sources and destinations int64 `[E]` and vectors `[E, 3]` of a graph that is only there to be traced."""
    generator = torch.Generator().manual_seed(atoms)
    source, destination = torch.randint(atoms, (2, edges), generator=generator)
    return source, destination.sort()[0], torch.rand(edges, 3, generator=generator, dtype=dtype) + 0.5
