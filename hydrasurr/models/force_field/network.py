"""The force field: energies of structures from a representation of atoms, forces and virial by differentiation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from hydrasurr.errors import StructureError
from hydrasurr.graphs.schema import ELEMENTS
from hydrasurr.loading.atoms_batch import AtomsBatch
from hydrasurr.models.force_field.config import ForceFieldConfig
from hydrasurr.models.force_field.geometry import Geometry
from hydrasurr.models.force_field.initial import initialise
from hydrasurr.models.force_field.radial import CUTOFFS

if TYPE_CHECKING:
    from hydrasurr.models.force_field.compiled import CompiledSlopes


@dataclass(frozen=True)
class ForcePrediction:
    """Of `S` structures with `N` atoms.

    Attributes
    ----------
    energy : float64 `[S]`, eV, per-element references included
    forces : float64 `[N, 3]`, eV/Angstrom
    virial : float64 `[S, 3, 3]`, eV, `-dE/d(strain)`, symmetric, or None; the stress is `-virial / volume`
    """

    energy: Tensor
    forces: Tensor
    virial: Tensor | None = None


class ForceField(nn.Module):
    """`E = sum_i (reference[Z_i] + scale * e_i)`, with `e_i` read out from the representation of atom i.

    Geometry and sums over atoms are float64; the network in between has the type of its weights.

    Parameters
    ----------
    config : its shape
    elements : atomic numbers it is for
    reference_energies : float64 `[119]`, eV, by atomic number; None for 0
    scale : eV, what an output of 1 means; the root mean square of the training forces (in eV/A) is a good choice
    """

    def __init__(
        self,
        config: ForceFieldConfig,
        elements: Sequence[int],
        reference_energies: Tensor | np.ndarray | Sequence[float] | None = None,
        scale: float | Tensor = 1.0,
    ) -> None:
        super().__init__()
        self.config, self.elements = config, tuple(sorted({int(number) for number in elements}))
        self._compiled: CompiledSlopes | None = None
        if not self.elements or not 0 < self.elements[0] <= self.elements[-1] < len(ELEMENTS):
            raise ValueError(f"elements are atomic numbers from 1 to {len(ELEMENTS) - 1}, got {list(elements)}")
        reference = torch.zeros(len(ELEMENTS)) if reference_energies is None else reference_energies
        self.register_buffer("reference_energies", torch.as_tensor(reference, dtype=torch.float64).clone())
        if self.reference_energies.shape != (len(ELEMENTS),):
            raise ValueError(f"expected {len(ELEMENTS)} reference energies, got {tuple(self.reference_energies.shape)}")
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float64).clone())
        row = torch.full((len(ELEMENTS),), -1)
        row[list(self.elements)] = torch.arange(len(self.elements))
        self.register_buffer("row_of_element", row, persistent=False)

        self.embedding = nn.Embedding(len(self.elements), config.width)
        self.radial = config.radial.build(config.cutoff)
        self.envelope = CUTOFFS[config.envelope](config.cutoff)
        self.representation = config.representation.build(config.width, config.layers, config.radial.count)
        half = max(config.width // 2, 1)
        self.readout = nn.Sequential(nn.Linear(config.width, half), nn.SiLU(), nn.Linear(half, 1))
        initialise(self.readout)

    @property
    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def dtype(self) -> torch.dtype:
        """The floating type of the weights."""
        return self.embedding.weight.dtype

    def set_dtype(self, dtype: torch.dtype) -> ForceField:
        """Change the type of the weights, in place; reference energies and scale stay float64."""
        exact = self.reference_energies, self.scale
        self.to(dtype)
        self.reference_energies, self.scale = exact
        return self

    def require_elements(self, numbers: Tensor | np.ndarray) -> None:
        """Raise StructureError if there are atoms of elements that the force field does not know."""
        require_elements(numbers, self.elements)

    def forward(self, batch: AtomsBatch, stress: bool = False) -> ForcePrediction:
        """Energies, forces and, if `stress`, virials.

        With gradients enabled the result can be differentiated, as a loss of forces needs; under `torch.no_grad` it
        cannot, and costs less. Edges longer than the cutoff do not matter. Raises IndexError for unknown elements.
        """
        source, destination = batch.edge_index
        with torch.enable_grad():
            positions = batch.positions
            vector = positions.index_select(0, source) - positions.index_select(0, destination) + batch.shift_vector
        atomic, slope = self._slopes(batch.numbers, source, destination, vector)
        energy = atomic + self.reference_energies[batch.numbers]
        return ForcePrediction(
            energy.new_zeros(batch.num_graphs).index_add(0, batch.system_index, energy),
            torch.zeros_like(positions).index_add(0, destination, slope).index_add(0, source, slope, alpha=-1),
            self._virial(batch, vector, slope) if stress else None,
        )

    def compile_forces(self) -> None:
        """Compile what training computes, energies and forces with gradients enabled, when it is first needed.

        The results are the same but for rounding. Raises HydrasurrError if there is no C++ compiler.
        """
        from hydrasurr.models.force_field.compiled import CompiledSlopes

        self._compiled = CompiledSlopes(self)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_compiled": None}  # copies compute by themselves

    def _slopes(self, numbers: Tensor, source: Tensor, destination: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Atomic energies float64 `[N]` and their sum's slopes `[E, 3]` by the vectors, without references."""
        differentiable = torch.is_grad_enabled()
        # For no edges or one atom torch.compile would make a program of their own, which is not worth its time.
        if self._compiled is not None and differentiable and not vector.requires_grad and vector.shape[0] > 1:
            return self._compiled(numbers, source, destination, vector)
        with torch.enable_grad():
            if not vector.requires_grad:
                vector.requires_grad_()
            atomic = self.atomic_energies(numbers, source, destination, vector)
            (slope,) = torch.autograd.grad(atomic.sum(), vector, create_graph=differentiable)
        return atomic if differentiable else atomic.detach(), slope

    def atomic_energies(self, numbers: Tensor, source: Tensor, destination: Tensor, vector: Tensor) -> Tensor:
        """float64 `[N]`, eV, without references, of atoms with edges whose vectors are float64 `[E, 3]`."""
        vector = vector.to(self.dtype)
        distance = vector.square().sum(1).sqrt()
        geometry = Geometry(
            source,
            destination,
            numbers.shape[0],  # not len(), which would fix the number of atoms of an export
            vector,
            distance,
            self.radial(distance),
            self.envelope(distance),
            self.config.cutoff,
        )
        features = self.representation(self.embedding(self.row_of_element[numbers]), geometry)
        return self.readout(features).squeeze(1).double() * self.scale

    @staticmethod
    def _virial(batch: AtomsBatch, vector: Tensor, slope: Tensor) -> Tensor:
        """A strain e takes every vector r to (1 + e) r, so `dE/de = sum over edges of dE/dr (x) r`."""
        outer = slope[:, :, None] * vector[:, None, :]
        owner = batch.system_index.index_select(0, batch.edge_index[1])
        total = outer.new_zeros(batch.num_graphs, 3, 3).index_add(0, owner, outer)
        return -0.5 * (total + total.mT)


def require_elements(numbers: Tensor | np.ndarray, known: Sequence[int]) -> None:
    """Raise StructureError if there are other atomic numbers than those of `known` elements."""
    unknown = sorted(set(np.unique(np.asarray(numbers)).tolist()) - set(known))
    if unknown:
        names, others = (", ".join(ELEMENTS[z] for z in some) for some in (unknown, known))
        raise StructureError(f"no {names} in this force field: it was made for {others}")
