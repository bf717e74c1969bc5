"""Weights of a pair network in fewer bits, and the refit that makes four bits enough.

What is rounded: in "fp64", "fp32" and "bf16" everything; in the other formats only the matrices between hidden
layers, 8,192 of the 8,513 weights of [1, 64, 64, 64, 1]. The first and the output layer and all biases stay float32:
they are few, and the error of each goes straight into the force. Integers are affine in groups of 32 weights of a
row: `weight = low + code * scale`, with low and scale in float16 and two four-bit codes a byte.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hydrasurr.errors import HydrasurrError, did_you_mean

if TYPE_CHECKING:
    from hydrasurr.models.pair_mlp import PairMLP

FORMATS = ("fp64", "fp32", "bf16", "bf16_hidden", "int8", "int8_refit", "int4", "int4_refit")
BITS = {"int8": 8, "int8_refit": 8, "int4": 4, "int4_refit": 4}
FLOATS = {"fp64": torch.float64, "fp32": torch.float32, "bf16": torch.bfloat16}
GROUP = 32
"""Weights of a row that share a scale."""
SMALLEST_STEP = 2.0**-14
"""The smallest float16 of full precision."""
REFIT_POINTS = 4096
RIDGE = 1e-7
"""Of the refit, in the mean square of the features: keeps the output weights small enough for float32."""


def quantize(weight: Tensor, bits: int) -> dict[str, Tensor]:
    """Round a matrix `[rows, columns]` to `bits` (8 or 4) in groups of GROUP columns.

    Returns codes uint8 `[rows, groups, GROUP * bits / 8]` (the first of two codes in the low half of a byte), and
    scale and low float16 `[rows, groups]`. What `dequantize` makes of it gives the same again, to the bit: a range
    that holds 0 and steps of at least SMALLEST_STEP make sure that float16 does not move its ends by half a step.
    Raises HydrasurrError for weights beyond the range of float16.
    """
    groups, steps = _in_groups(weight.double()), 2**bits - 1
    low = groups.amin(-1).clamp(max=0).half()
    scale = ((groups.amax(-1).clamp(min=0) - low) / steps).clamp(min=SMALLEST_STEP).half()
    if not (low.isfinite().all() and scale.isfinite().all()):
        raise HydrasurrError("weights are too large to be quantized: beyond the range of float16, or no numbers")
    codes = ((groups - low[..., None]) / scale[..., None]).round().clamp(0, steps).to(torch.uint8)
    if bits == 4:
        codes = codes[..., ::2] | codes[..., 1::2] << 4
    return {"codes": codes, "scale": scale, "low": low}


def dequantize(parts: Mapping[str, Tensor], bits: int, columns: int) -> Tensor:
    """float64 `[rows, columns]`: the matrix that the result of `quantize` stands for."""
    codes, scale, low = parts["codes"], parts["scale"].double(), parts["low"].double()
    if bits == 4:
        codes = torch.stack([codes & 15, codes >> 4], -1).flatten(-2)
    return (low[..., None] + codes * scale[..., None]).flatten(-2)[:, :columns].contiguous()


def _in_groups(weight: Tensor) -> Tensor:
    """`[rows, groups, GROUP]`; the last column fills up the last group, which changes no least and no largest."""
    missing = -weight.shape[1] % GROUP
    return torch.cat([weight, weight[:, -1:].expand(-1, missing)], 1).unflatten(1, (-1, GROUP))


def pack(state: Mapping[str, Tensor], format: str) -> dict[str, Tensor]:
    """The tensors in which a format keeps the weights of a PairMLP."""
    packed = {}
    for name, tensor in state.items():
        if format in FLOATS:
            packed[name] = tensor.to(FLOATS[format])
        elif not _between_hidden(tensor):
            packed[name] = tensor.float()
        elif format == "bf16_hidden":
            packed[name] = tensor.bfloat16()
        else:
            packed |= {f"{name}.{part}": t for part, t in quantize(tensor, BITS[format]).items()}
    return {name: tensor.detach().cpu().contiguous() for name, tensor in packed.items()}


def unpack(packed: Mapping[str, Tensor], format: str, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights, float64, that the result of `pack` stands for; `like` has their names and shapes."""
    state = {}
    for name, tensor in like.items():
        if name in packed:
            state[name] = packed[name].double()
        else:
            parts = {part: packed[f"{name}.{part}"] for part in ("codes", "scale", "low")}
            state[name] = dequantize(parts, BITS[format], tensor.shape[1])
    return state


def _between_hidden(tensor: Tensor) -> bool:
    return tensor.ndim == 2 and min(tensor.shape) > 1


def packed_bytes(network: PairMLP) -> int:
    """Bytes of the weights in the network's format, scales included."""
    return sum(tensor.nbytes for tensor in pack(network.state_dict(), network.format).values())


def convert(network: PairMLP, format: str, distances: Sequence[Tensor] | None = None) -> PairMLP:
    """A copy of an "fp64" network whose weights are those of a format, in float64.

    `distances` are for "int8_refit" and "int4_refit", see `refit_output`. Raises HydrasurrError for an unknown
    format, or a network that is already of another.
    """
    if format not in FORMATS:
        raise HydrasurrError(f"no format '{format}' of pair networks{did_you_mean(format, FORMATS)}")
    if network.format == format:
        return network
    if network.format != "fp64":
        raise HydrasurrError(f"the weights are rounded to '{network.format}'; make '{format}' of the fp64 network")
    result = copy.deepcopy(network).requires_grad_(False)
    result.format = format
    state = network.state_dict()
    result.load_state_dict(unpack(pack(state, format), format, state))
    if format.endswith("_refit"):
        refit_output(result, network, distances)
        state = result.state_dict()
        result.load_state_dict(unpack(pack(state, format), format, state))  # the new output layer, as it is kept
    return result


@torch.no_grad()
def refit_output(network: PairMLP, reference: PairMLP, distances: Sequence[Tensor] | None = None) -> None:
    """Set the output layer of each network in place so that it comes closest to the reference.

    The output is linear in the 64 weights and the bias of its last layer, so the least squares are solved in closed
    form. `distances` has for each kind of pair a float64 `[n]` of distances over which errors are summed, Angstrom;
    by default an even grid from r_min to the cutoff. Those of a trajectory weigh errors as that meets them.
    """
    spec = network.spec
    for kind, (ours, theirs) in enumerate(zip(network.networks, reference.networks, strict=True)):
        if distances is None:
            r = torch.linspace(spec.r_min[kind], spec.cutoff, REFIT_POINTS, dtype=torch.float64)
        else:
            r = distances[kind].double()
        x = network.normalise(r, kind)[:, None]
        features = ours[:-1](x)
        features = torch.cat([features, torch.ones_like(x)], 1)
        # Only what differs is fitted, and kept small: where the data say nothing the old weights stay.
        missing = theirs(x) - ours(x)
        ridge = (RIDGE * len(r)) ** 0.5 * torch.eye(features.shape[1], dtype=torch.float64)
        rows, right = torch.cat([features, ridge]), torch.cat([missing, missing.new_zeros(len(ridge), 1)])
        change = torch.linalg.lstsq(rows, right).solution[:, 0]
        ours[-1].weight += change[:-1]
        ours[-1].bias += change[-1]
