"""A network of the distance as a potential, in the number formats it may be stored and computed in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hydrasurr.models.pair_mlp import PairMLP, load_pair
from hydrasurr.models.pair_quantize import convert
from hydrasurr.surrogate.potentials.elements import pair_name
from hydrasurr.surrogate.potentials.guard import STIFFNESS
from hydrasurr.surrogate.potentials.pairwise import PairPotential
from hydrasurr.surrogate.potentials.table import Table

ARITHMETIC = {
    "fp64": torch.float64,
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "bf16_hidden": torch.bfloat16,
    "int8": torch.float32,
    "int8_refit": torch.float32,
    "int4": torch.float32,
    "int4_refit": torch.float32,
}
"""In what the matrix products between hidden layers are computed. Distances, sums and energies are always float64."""

FORWARD_CHUNK = 4096
"""Inputs of a network computed at a time on a CPU: two layers of 64 float32 fill 2 MiB."""
DEVICE_CHUNK = 2**20
"""Pairs computed at a time elsewhere: enough work to fill a GPU."""
ENERGY_POINTS = 4096
GAUSS_POINTS = 4


class PairNetwork(PairPotential):
    """The forces of a PairMLP, with the energy that belongs to them.

    The network gives forces only. The energy is their integral, `U(r) = int_r^cutoff f dr`: by Gauss-Legendre
    quadrature of the forces in this format on a grid of 4,096 distances, and cubic Hermite polynomials of U and f
    between them. So `f = -dU/dr` holds to 1e-8 eV/Angstrom in fp64, to rounding in float32 arithmetic, and on average
    for the steps of bfloat16. U is 0 at the cutoff. Below r_min the force goes on along a straight line.

    One object is of one format, and not for several threads at a time (its buffers are reused from chunk to chunk).

    Parameters
    ----------
    network : a trained network
    format : one of `hydrasurr.models.pair_quantize.FORMATS`; default: that of the network
    device : where to compute
    lookup : for "bf16". A bfloat16 input between 0 and 1 has only 16,257 values; with `lookup` the network is
        computed once for each of them, with the same bfloat16 products, and pairs look their value up. Without it
        every pair goes through the matrix products, which are slower than those of float32 on processors without
        bfloat16 instructions.
    repulsive : below the smallest distance of training let atoms repel each other harder and harder, whatever the
        network says there. False: go on along the network's own slope, for a network of a part of the force, such as
        one of charges, beside which another part repels

    Attributes
    ----------
    r_min : where the training data begin, by pair of elements (`{"Na-Cl": 2.1}`), Angstrom; as `guarded` takes it

    Raises HydrasurrError for an unknown format, or a network that is already rounded to another.
    """

    def __init__(
        self,
        network: PairMLP,
        format: str | None = None,
        device: str | torch.device = "cpu",
        lookup: bool = True,
        repulsive: bool = True,
    ):
        self.network = convert(network, format or network.format).to(device)
        self.format, self.device, self.repulsive = self.network.format, torch.device(device), repulsive
        spec = self.network.spec
        self.cutoff = spec.cutoff
        if self.device.type != "cpu":
            self.chunk = DEVICE_CHUNK
        names = [pair_name(*pair) for pair in spec.pairs]
        self.r_min = dict(zip(names, spec.r_min, strict=True))
        evaluate = [Forward(self.network, kind) for kind in range(len(names))]
        with torch.no_grad():
            self._evaluate = [BFloat16Lookup(f) for f in evaluate] if lookup and self.format == "bf16" else evaluate
            self._slopes = [self._slope(kind, repulsive) for kind in range(len(names))]
            self._energy = self._integrate(names)

    @classmethod
    def load(cls, path: str | Path, format: str | None = None, **options: Any) -> PairNetwork:
        """The potential of a file written by `save_pair`. Raises HydrasurrError."""
        return cls(load_pair(path), format, **options)

    @torch.no_grad()
    def radial(self, distance: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        kind = self.network.kind(first, second)
        energy, _ = self._energy.radial(distance, first, second)
        if len(self._evaluate) == 1:
            return energy, self._force(0, distance)
        force = torch.empty_like(distance)
        for k in range(len(self._evaluate)):
            rows = (kind == k).nonzero()[:, 0]
            force[rows] = self._force(k, distance[rows])
        return energy, force

    def _force(self, kind: int, distance: Tensor) -> Tensor:
        """float64 `[P]`: the force in this format, eV/Angstrom."""
        spec = self.network.spec
        depth = (spec.r_min[kind] - distance).clamp(min=0)
        inside = distance.clamp(min=spec.r_min[kind])
        force = self._evaluate[kind](self.network.normalise(inside, kind)) * spec.force_scale
        if spec.switch:
            force *= self.network.end(inside)
        return force + depth * self._slopes[kind]

    def _slope(self, kind: int, repulsive: bool, step: float = 1e-4) -> float:
        """By how much the force grows for each Angstrom below r_min: as it does there, if it does or need not.

        From the network in float64, for a format of few bits has steps and no slope.
        """
        r = torch.tensor([0.0, step], dtype=torch.float64, device=self.device) + self.network.spec.r_min[kind]
        at_first, beyond = self.network(r, torch.full((2,), kind, device=self.device)).tolist()
        slope = (at_first - beyond) / step
        return slope if slope > 0 or not repulsive else STIFFNESS

    def _integrate(self, names: Sequence[str]) -> Table:
        """The energy of each kind on a grid. It starts a step below the smallest r_min, where forces are straight
        lines already, and so the table goes on below as they do."""
        r_min, cutoff = min(self.network.spec.r_min), self.cutoff
        step = (cutoff - r_min) / (ENERGY_POINTS - 2)
        grid = np.linspace(r_min - step, cutoff, ENERGY_POINTS)
        nodes, weights = np.polynomial.legendre.leggauss(GAUSS_POINTS)
        inner = grid[:-1, None] + (nodes + 1) * step / 2
        energy, force = {}, {}
        for kind, name in enumerate(names):
            at_grid, at_inner = (self._force_at(kind, r) for r in (grid, inner.ravel()))
            pieces = at_inner.reshape(inner.shape) @ weights * step / 2
            energy[name] = np.append(pieces[::-1].cumsum()[::-1], 0.0)
            force[name] = at_grid
        return Table(grid, energy, force)

    def _force_at(self, kind: int, distance: np.ndarray) -> np.ndarray:
        return self._force(kind, torch.from_numpy(distance).to(self.device)).cpu().numpy()


class Forward:
    """One network of a PairMLP over any number of inputs, chunk by chunk in buffers that stay in cache.

    Taking the whole batch at once would write and read each layer, 217 MB for the pairs of 32,000 atoms of liquid
    argon in float32, through memory several times.
    """

    def __init__(self, network: PairMLP, kind: int):
        layers = network.layers(kind)
        self.device = layers[0][0].device
        self.chunk = FORWARD_CHUNK if self.device.type == "cpu" else DEVICE_CHUNK
        hidden = ARITHMETIC[network.format]
        ends = torch.float32 if network.format == "bf16_hidden" else hidden
        self._layers: list[tuple[Tensor, Tensor, Tensor]] = []
        shared: dict[tuple[int, torch.dtype, int], Tensor] = {}
        for k, (weight, bias) in enumerate(layers):
            dtype = ends if k in (0, len(layers) - 1) else hidden
            key = (len(bias), dtype, k % 2)  # a layer reads one buffer and writes another
            shared.setdefault(key, torch.empty(self.chunk, len(bias), dtype=dtype, device=self.device))
            self._layers.append((weight.detach().T.to(dtype).contiguous(), bias.detach().to(dtype), shared[key]))

    def __call__(self, x: Tensor) -> Tensor:
        """float64 `[P]` outputs for float64 `[P]` inputs."""
        output = torch.empty_like(x)
        for start in range(0, len(x), self.chunk):
            part = slice(start, start + self.chunk)
            output[part] = self._chunk(x[part, None])
        return output

    def _chunk(self, values: Tensor) -> Tensor:
        last = len(self._layers) - 1
        for k, (weight, bias, buffer) in enumerate(self._layers):
            out = buffer[: len(values)]
            torch.addmm(bias, values.to(weight.dtype), weight, out=out)
            values = out if k == last else out.tanh_()
        return values[:, 0]


class BFloat16Lookup:
    """What `Forward` gives for each bfloat16 input from 0 to 1, by the 16 bits of the input."""

    def __init__(self, forward: Forward):
        one = int(torch.ones(1, dtype=torch.bfloat16).view(torch.int16))
        every = torch.arange(one + 1, dtype=torch.int16, device=forward.device).view(torch.bfloat16)
        self._outputs = forward(every.double())

    def __call__(self, x: Tensor) -> Tensor:
        """float64 `[P]` outputs for float64 `[P]` inputs from 0 to 1."""
        return self._outputs[x.clamp(0, 1).bfloat16().view(torch.int16).int()]
