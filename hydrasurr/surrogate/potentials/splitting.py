"""Where to split 1/r into a part for real and one for reciprocal space, and how finely to sum the latter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from hydrasurr.errors import HydrasurrError, did_you_mean
from hydrasurr.graphs.systems import Systems
from hydrasurr.surrogate.potentials.contract import require_positive
from hydrasurr.surrogate.potentials.torch_pme import P3M_NODES, mesh_spacing, torch_pme

COULOMB = 14.3996454784255
"""e^2 / (4 pi epsilon_0) in eV Angstrom."""

Method = Literal["ewald", "p3m"]

Place = tuple[Tensor, Tensor, Tensor]
"""Charges `[N, 1]`, cell `[3, 3]` and positions `[N, 3]`, as torch-pme takes them."""


@dataclass(frozen=True)
class Splitting:
    """How 1/r is split, and how finely its far part is computed.

    Attributes
    ----------
    method : "ewald" (exact for any number of waves, cost N^2) or "p3m" (particle-particle particle-mesh)
    smearing : width of the Gaussians, Angstrom
    resolution : Angstrom; ewald: the shortest wave that is summed over; p3m: twice the largest spacing of mesh points

    Raises HydrasurrError for another method, and lengths that are not positive.
    """

    method: Method
    smearing: float
    resolution: float

    def __post_init__(self) -> None:
        require_method(self.method)
        require_positive(smearing=self.smearing, resolution=self.resolution)


def require_method(method: str) -> None:
    """Raises HydrasurrError for what is no Method."""
    if method not in get_args(Method):
        raise HydrasurrError(f"no method '{method}' to sum charges{did_you_mean(method, get_args(Method))}")


def tune(system: Systems, charges: Tensor, cutoff: float, method: Method, accuracy: float) -> Splitting:
    """The coarsest splitting whose estimated error in one periodic system is no larger than `accuracy`.

    `charges` are float64 `[N]`, e; `accuracy` is that of forces, root mean square, eV/Angstrom. The same cell and
    charges always give the same splitting. Raises HydrasurrError if none is fine enough.
    """
    place = charges[:, None], torch.from_numpy(system.cell[0]), torch.from_numpy(system.positions)
    smearing = _smearing(place, cutoff, accuracy / COULOMB)
    # The numbers of waves and mesh points follow the cell in steps. Resolutions in the middle between two steps keep
    # these numbers the same while the cell changes a little, and with them the energy smooth.
    edge = float(np.linalg.norm(system.cell[0], axis=1).min())
    if method == "ewald":
        lengths = (edge / (waves + 0.4) for waves in range(1, 100))
        choices = ((length, _ewald_error(place, smearing, length)) for length in lengths)
    else:
        bounds = torch_pme("torchpme.tuning.p3m").P3MErrorBounds(*place)
        choices = (
            (mesh_spacing(edge, power - 0.5), _p3m_error(bounds, smearing, mesh_spacing(edge, power)))
            for power in range(2, 10)
        )
    for resolution, error in choices:
        if math.hypot(error, accuracy / COULOMB / 2) <= accuracy / COULOMB:
            return Splitting(method, smearing, resolution)
    raise HydrasurrError(
        f"no {method} sum with a cutoff of {cutoff} Angstrom reaches an accuracy of {accuracy} eV/Angstrom in this "
        f"system of {system.num_atoms} atoms; ask for less, or raise the cutoff"
    )


def _smearing(place: Place, cutoff: float, accuracy: float) -> float:
    """The largest smearing that leaves an error of half of `accuracy` (in units of COULOMB) to the near part."""
    tuner = torch_pme("torchpme.tuning.tuner").TunerBase
    try:
        smearing = tuner(*place, cutoff, torch_pme("torchpme").EwaldCalculator).estimate_smearing(accuracy)
        return min(smearing, cutoff / 2)
    except (ValueError, ZeroDivisionError):  # even without a near part the error would be smaller
        return cutoff / 2


def _ewald_error(place: Place, smearing: float, wavelength: float) -> float:
    """J. Kolafa and J. W. Perram, Mol. Simul. 9, 351 (1992), for waves down to this length; in units of COULOMB."""
    charges, cell, _ = place
    length, alpha = abs(float(cell.det())) ** (1 / 3), 1 / (math.sqrt(2) * smearing)
    waves = length / wavelength
    strength = 2 * float((charges**2).sum()) * alpha / length / math.sqrt(math.pi * waves * len(charges))
    return strength * math.exp(-((math.pi / (alpha * wavelength)) ** 2))


def _p3m_error(bounds: Any, smearing: float, mesh_spacing: float) -> float:
    return float(bounds.err_kspace(torch.tensor(smearing), torch.tensor(mesh_spacing), torch.tensor(P3M_NODES)))
