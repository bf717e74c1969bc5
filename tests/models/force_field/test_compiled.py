"""Compiled training against PyTorch: the same energies, forces and gradients, whatever the sizes."""

from __future__ import annotations

import copy

import pytest
import torch
from torch._inductor import cpp_builder

from hydrasurr.errors import HydrasurrError
from hydrasurr.graphs.neighbours import NeighbourList
from hydrasurr.graphs.systems import Systems, join
from hydrasurr.loading.atoms_batch import AtomsBatch
from hydrasurr.models.force_field.compiled import CompiledSlopes
from hydrasurr.models.force_field.network import ForceField
from hydrasurr.models.force_field.trace import trace
from tests.models.force_field.conftest import NUMBERS, make
from tests.models.force_field.test_training import loss
from tests.surrogate.potentials.structures import lattice


def batches() -> list[AtomsBatch]:
    one, other = lattice(3, 2.2, NUMBERS), lattice(3, 2.4, NUMBERS, pbc=False)
    groups = [[one, other], [other, other, one], [one], [Systems.single([8], [[0, 0, 0]])]]
    return [AtomsBatch.from_systems(s, NeighbourList(4.0).pairs(s)) for s in map(join, groups)]


def check(plain: ForceField, compiled: ForceField) -> None:
    """Losses of energies, forces and virials, and their gradients, at several sizes."""
    for batch in batches():
        one, other = loss(plain, batch), loss(compiled, batch)
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-9)
        gradients = [torch.autograd.grad(value, list(f.parameters())) for value, f in ((one, plain), (other, compiled))]
        for expected, found in zip(*gradients, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-8)


def test_what_is_compiled_has_the_same_gradients(kind: str):
    """For every kind, without the compiler."""
    plain = make(kind, width=8, layers=2)
    traced = copy.deepcopy(plain)
    traced._compiled = CompiledSlopes(traced, backend="aot_eager")
    check(plain, traced)


def test_compiled_training_is_the_same():
    plain = make("schnet", width=8, layers=1)
    compiled = copy.deepcopy(plain)
    compiled.compile_forces()
    check(plain, compiled)
    batch = batches()[1]
    with torch.no_grad():
        torch.testing.assert_close(compiled(batch).forces, plain(batch).forces)
    assert copy.deepcopy(compiled).state_dict().keys() == plain.state_dict().keys()


def test_a_graph_for_one_size_only_is_an_error():
    with pytest.raises(HydrasurrError, match="other operations at other numbers of atoms"):
        trace(lambda x: x * len(x), (torch.ones(3),), (torch.ones(4),))


def test_without_a_compiler_the_error_says_so(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    cpp_builder.cpp_compiler_search.cache_clear()  # what an earlier test found
    with pytest.raises(HydrasurrError, match=r"needs a C\+\+ compiler"):
        make("painn").compile_forces()
