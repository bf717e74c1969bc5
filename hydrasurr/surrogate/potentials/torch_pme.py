"""The package torch-pme, which sums charges in reciprocal space: asked for what it does well."""

from __future__ import annotations

import math
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hydrasurr.errors import missing_extra

if TYPE_CHECKING:
    from torchpme.calculators import Calculator

P3M_NODES = 5
"""Mesh points along each axis that a charge is spread over: the most that torch-pme offers."""


def torch_pme(module: str) -> ModuleType:
    """A module of the package. Raises HydrasurrError if it is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        raise missing_extra("torch-pme", "md") from error


def mesh_spacing(edge: float, power: float) -> float:
    """With which torch-pme takes 2^power mesh points along an edge of the cell; it rounds up to a whole power."""
    return 2 * edge / (2**power - 1)


def ewald(smearing: float) -> Calculator:
    """For the sum over the waves that it is given, see `wave_vectors`; in float64."""
    calculators, potentials = torch_pme("torchpme.calculators"), torch_pme("torchpme.potentials")
    return calculators.EwaldCalculator(potentials.CoulombPotential(smearing), lr_wavelength=1.0).to(torch.float64)


def p3m(smearing: float, mesh_spacing: float) -> Calculator:
    """For the sum on a mesh (particle-particle particle-mesh), in cells of any shape; in float64."""
    calculators, lib = torch_pme("torchpme.calculators"), torch_pme("torchpme.lib.kspace_filter")
    potential = torch_pme("torchpme.potentials").CoulombPotential(smearing)

    class AnyCellFilter(lib.P3MKSpaceFilter):  # type: ignore[name-defined, misc]
        """That of torch-pme takes Cartesian components of wave vectors for those along the cell vectors, and so is
        right for boxes at right angles only: elsewhere, and in virials of shear, it loses all its accuracy."""

        def _compute_influence(self, kvectors: Tensor) -> Tensor:
            phases = kvectors.detach() @ self.cell.detach().T / self.ns_mesh  # 2 pi n / points, whatever the cell
            return 1 / self._charge_assignment(phases)

    calculator = calculators.P3MCalculator(potential, mesh_spacing, P3M_NODES).to(torch.float64)
    mesh = {"cell": torch.eye(3, dtype=torch.float64), "ns_mesh": torch.ones(3, dtype=torch.int64)}
    calculator.kspace_filter = AnyCellFilter(
        **mesh, interpolation_nodes=P3M_NODES, kernel=potential, fft_norm="backward", ifft_norm="forward"
    )
    return calculator


def wave_vectors(cell: Tensor, shortest: float) -> Tensor:
    """float64 `[K, 3]`: all wave vectors of a cell with a wavelength of at least `shortest`.

    Those that torch-pme finds itself fill a box and end at twice the wavelength that it is given.
    """
    reciprocal = 2 * math.pi * torch.linalg.inv(cell).T
    most = (torch.linalg.norm(cell.detach(), dim=1) / shortest).long().tolist()
    counts = torch.cartesian_prod(*(torch.arange(-n, n + 1, dtype=torch.float64) for n in most))
    keep = torch.linalg.norm(counts @ reciprocal.detach(), dim=1) <= 2 * math.pi / shortest
    return counts[keep] @ reciprocal
