"""A force between two atoms as a small network of their distance, and the file it is kept in.

After X. Shen et al., "Energy-efficient, Large-scale Molecular Dynamics Simulations", PNNL-38353 (2025), section 3:
widths [1, 64, 64, 64, 1], tanh, the normalised distance in, a scalar out that is applied along the unit vector.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, model_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from hydrasurr.errors import HydrasurrError, StructureError
from hydrasurr.files import replacing
from hydrasurr.models.pair_quantize import FORMATS, pack, unpack
from hydrasurr.strict import Strict, parse

HEADER = "hydrasurr_pair"
"""The key of the JSON header in a file's metadata."""
FILE_VERSION = 1
MAX_NUMBER = 118

Element = Annotated[int, Field(ge=1, le=MAX_NUMBER)]
Width = Annotated[int, Field(ge=1, le=1024)]


def element_pairs(elements: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """All pairs of elements, each once; a *kind* of pair is a position in this list."""
    return tuple(combinations_with_replacement(elements, 2))


def kind_table(elements: Sequence[int]) -> Tensor:
    """int64 `[119, 119]`: the kind of each pair of atomic numbers, -1 for those not among the elements."""
    kinds = torch.full((MAX_NUMBER + 1, MAX_NUMBER + 1), -1)
    for kind, (a, b) in enumerate(element_pairs(elements)):
        kinds[a, b] = kinds[b, a] = kind
    return kinds


class PairSpec(Strict):
    """What a PairMLP is built from."""

    elements: tuple[Element, ...] = Field(min_length=1, max_length=16)
    """Atomic numbers, ascending. Each pair of elements has a network of its own, see `pairs`."""
    cutoff: float = Field(gt=0)
    """Angstrom; there is no force beyond it."""
    r_min: tuple[float, ...]
    """For each of `pairs` where the training data begin, Angstrom. Nearer, the network only guesses."""
    force_scale: float = Field(default=1.0, gt=0)
    """eV/Angstrom; what an output of 1 stands for: the standard deviation of the training forces. Nothing is added to
    the output, for forces are standardised without a mean: it is zero, as those of a frame cancel (Newton's third
    law)."""
    hidden: tuple[Width, ...] = Field(default=(64, 64, 64), min_length=1, max_length=16)
    """Widths of the hidden layers."""
    switch: float = Field(default=0.0, ge=0)
    """Angstrom before the cutoff over which the force goes smoothly to zero. With 0, as in the report, it jumps to
    zero at the cutoff as that of a truncated reference does; give a width where the jump costs energy drift."""

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The pairs of elements, by kind."""
        return element_pairs(self.elements)

    @model_validator(mode="after")
    def _check(self) -> PairSpec:
        if list(self.elements) != sorted(set(self.elements)):
            raise ValueError(f"elements {list(self.elements)} must be ascending, each once")
        if len(self.r_min) != len(self.pairs):
            raise ValueError(f"r_min has {len(self.r_min)} values, expected one for each of {len(self.pairs)} pairs")
        if not all(0 < r < self.cutoff for r in self.r_min):
            raise ValueError(f"every r_min must be above 0 and below the cutoff {self.cutoff}")
        if self.switch >= self.cutoff:
            raise ValueError(f"the switch of {self.switch} must be shorter than the cutoff {self.cutoff}")
        return self


class PairMLP(nn.Module):
    """Forces between pairs of atoms from their distance alone.

    The input of a network is `x = (s - s_min) / (1 - s_min)` with `s = r / cutoff`: the normalised distance on an
    affine scale that is 0 at r_min and 1 at the cutoff. Near 0, where forces are steepest, numbers of few bits lie
    densest. The output times `force_scale` is the force.

    Attributes
    ----------
    spec : what it is built from
    format : one of FORMATS, how its weights are kept in a file; all but "fp64" come from `pair_quantize.convert`
    networks : one for each of `spec.pairs`
    """

    kinds: Tensor

    def __init__(self, spec: PairSpec):
        super().__init__()
        self.spec, self.format = spec, "fp64"
        self.networks = nn.ModuleList(_network((1, *spec.hidden, 1)) for _ in spec.pairs)
        self.register_buffer("kinds", kind_table(spec.elements), persistent=False)
        self.double()

    def kind(self, first: Tensor, second: Tensor) -> Tensor:
        """int64 `[P]`: the kinds of pairs of atomic numbers. Raises StructureError for other elements."""
        kind = self.kinds[first, second]
        if len(kind) and kind.min() < 0:
            there = sorted(set(first.unique().tolist()) | set(second.unique().tolist()))
            unknown = [z for z in there if z not in self.spec.elements]
            raise StructureError(
                f"this pair network knows the atomic numbers {list(self.spec.elements)}, not {unknown}"
            )
        return kind

    def normalise(self, distance: Tensor, kind: int) -> Tensor:
        """The input of network `kind`, of the shape and dtype of `distance`."""
        r_min = self.spec.r_min[kind]
        return (distance - r_min) / (self.spec.cutoff - r_min)

    def layers(self, kind: int) -> list[tuple[Tensor, Tensor]]:
        """Weight `[out, in]` and bias `[out]` of each layer of a network, tanh between them."""
        return [(layer.weight, layer.bias) for layer in self.networks[kind] if isinstance(layer, nn.Linear)]

    def forward(self, distance: Tensor, kind: Tensor) -> Tensor:
        """Force -dU/dr of pairs, eV/Angstrom, positive for repulsion; `[P]` of the dtype of the weights.

        `distance` is `[P]`, Angstrom, up to the cutoff; `kind` int64 `[P]`.
        """
        dtype = self.networks[0][0].weight.dtype
        if len(self.networks) == 1:
            force = self._one_kind(0, distance, dtype)
        else:
            force = torch.zeros_like(distance, dtype=dtype)
            for k in range(len(self.networks)):
                rows = (kind == k).nonzero()[:, 0]
                force = force.index_copy(0, rows, self._one_kind(k, distance[rows], dtype))
        return force * self.end(distance).to(dtype) if self.spec.switch else force

    def _one_kind(self, kind: int, distance: Tensor, dtype: torch.dtype) -> Tensor:
        x = self.normalise(distance, kind).to(dtype)
        return self.networks[kind](x[:, None])[:, 0] * self.spec.force_scale

    def end(self, distance: Tensor) -> Tensor:
        """The factor of the force that ends it: from 1 to 0 over the last `switch` Angstrom, twice differentiable."""
        t = ((self.spec.cutoff - distance) / self.spec.switch).clamp(0, 1)
        return t**3 * (10 - 15 * t + 6 * t * t)


def _network(widths: tuple[int, ...]) -> nn.Sequential:
    parts: list[nn.Module] = []
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        parts += [nn.Linear(inputs, outputs), nn.Tanh()]
    return nn.Sequential(*parts[:-1])


class PairHeader(Strict):
    """The JSON header of a pair file."""

    version: Literal[1]
    format: Literal[FORMATS]
    spec: PairSpec
    notes: dict[str, Any] = {}


def save_pair(path: str | Path, network: PairMLP, notes: dict[str, Any] | None = None) -> None:
    """Write a network in its format; `notes` is any JSON about where it comes from.

    `path` is at any moment either the old or the new file. Raises HydrasurrError if it cannot be written.
    """
    path = Path(path)
    header = PairHeader(version=FILE_VERSION, format=network.format, spec=network.spec, notes=notes or {})
    try:
        with replacing(path) as temporary:
            save_file(pack(network.state_dict(), network.format), temporary, {HEADER: header.model_dump_json()})
    except (OSError, SafetensorError) as error:
        raise HydrasurrError(f"cannot write '{path}': {error}") from error


def load_pair(path: str | Path) -> PairMLP:
    """Read a network: in float64, whatever the format, its weights exactly those that the file stands for.

    Raises HydrasurrError if the file is missing, damaged, or none of a pair network.
    """
    return read_pair(path)[0]


def read_pair(path: str | Path) -> tuple[PairMLP, PairHeader]:
    """As `load_pair`, and the header of the file."""
    path = Path(path)
    if not path.is_file():
        raise HydrasurrError(f"no pair network file '{path}'")
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(HEADER)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise HydrasurrError(f"'{path}' is not a safetensors file, or damaged: {error}") from error
    if text is None:
        raise HydrasurrError(f"'{path}' is a safetensors file, but not of a pair network (no header '{HEADER}')")
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        raise HydrasurrError(f"'{path}': its header is not JSON: {error}") from error
    header = parse(PairHeader, raw, path)
    network = PairMLP(header.spec)
    network.format = header.format
    _check_layout(tensors, pack(network.state_dict(), header.format), path)
    network.load_state_dict(unpack(tensors, header.format, network.state_dict()))
    if not all(parameter.isfinite().all() for parameter in network.parameters()):
        raise HydrasurrError(f"'{path}': some weights are no finite numbers")
    return network.eval().requires_grad_(False), header


def _check_layout(tensors: dict[str, Tensor], expected: dict[str, Tensor], path: Path) -> None:
    """Raise HydrasurrError unless the tensors have the names, dtypes and shapes that the header describes."""
    for name in sorted({*tensors, *expected}):
        found, wanted = (f"{t[name].dtype} {list(t[name].shape)}" if name in t else "none" for t in (tensors, expected))
        if found != wanted:
            raise HydrasurrError(f"'{path}': tensor '{name}': {found} in the file, the header says {wanted}")
