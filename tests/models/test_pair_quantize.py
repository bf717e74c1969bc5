"""Rounding of weights: exact where it must be, bounded elsewhere, and mended by the refit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hydrasurr.errors import HydrasurrError
from hydrasurr.models.pair_mlp import PairMLP
from hydrasurr.models.pair_quantize import FORMATS, GROUP, convert, dequantize, packed_bytes, quantize
from tests.models.test_pair_mlp import ARGON, SALT, random_network

KIND = torch.zeros(2000, dtype=torch.long)
DISTANCES = torch.linspace(3.1, 8.5, 2000, dtype=torch.float64)


@st.composite
def matrices_on_a_grid(draw: st.DrawFn) -> tuple[int, np.ndarray, Tensor]:
    """Bits, codes and the matrix of `low + code * scale`: 0 lies within each group, and the ends of its range occur."""
    bits = draw(st.sampled_from([4, 8]))
    rows, groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    codes = rng.integers(0, 2**bits, (rows, groups, GROUP))
    codes[..., 5], codes[..., 20] = 0, 2**bits - 1
    low = -np.abs(rng.normal(0, 10.0 ** rng.integers(-4, 3), (rows, groups))).astype(np.float16)
    scale = np.abs(low).astype(float) * rng.uniform(1.01, 30, low.shape) / (2**bits - 1) + 2.0**-12
    scale = scale.astype(np.float16)
    weight = low[..., None].astype(float) + codes * scale[..., None].astype(float)
    return bits, codes, torch.from_numpy(weight.reshape(rows, -1))


@given(matrices_on_a_grid())
def test_what_lies_on_the_grid_is_kept_exactly(case: tuple[int, np.ndarray, Tensor]) -> None:
    bits, codes, weight = case
    parts = quantize(weight, bits)
    packed = parts["codes"].numpy()
    if bits == 4:
        assert packed.shape[-1] == GROUP // 2
        packed = np.stack([packed % 16, packed // 16], -1).reshape(codes.shape)
    np.testing.assert_array_equal(packed, codes)
    assert torch.equal(dequantize(parts, bits, weight.shape[1]), weight)


@given(
    bits=st.sampled_from([4, 8]),
    rows=st.integers(1, 4),
    columns=st.integers(1, 100),
    size=st.floats(1e-3, 1e3),
    middle=st.floats(-5, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_rounds_to_the_nearest_step(bits: int, rows: int, columns: int, size: float, middle: float, seed: int) -> None:
    """Against a loop over groups; the ends of the range are moved a little by float16."""
    weight = torch.from_numpy(np.random.default_rng(seed).normal(middle * size, size, (rows, columns)))
    parts = quantize(weight, bits)
    got = dequantize(parts, bits, columns)
    assert got.shape == weight.shape
    for row in range(rows):
        for start in range(0, columns, GROUP):
            group = weight[row, start : start + GROUP].numpy()
            extent = np.ptp(np.append(group, 0))
            step = max(extent / (2**bits - 1), 2.0**-14)
            slack = 2.0**-10 * extent + 2.0**-20
            error = np.abs(got[row, start : start + GROUP].numpy() - group)
            assert error.max() <= step / 2 + slack
    again = quantize(got, bits)
    assert torch.equal(dequantize(again, bits, columns), got)


@pytest.mark.parametrize("bits", [4, 8])
def test_zeros_stay_zeros(bits: int) -> None:
    weight = torch.zeros(2, 40, dtype=torch.float64)
    assert torch.equal(dequantize(quantize(weight, bits), bits, 40), weight)


@pytest.mark.parametrize("value", [1e8, -1e6, float("nan")])
def test_weights_beyond_float16_are_refused(value: float) -> None:
    with pytest.raises(HydrasurrError, match="too large"):
        quantize(torch.tensor([[1.0, value]], dtype=torch.float64), 8)


def test_bytes() -> None:
    """8,192 weights between hidden layers and 321 others, 256 groups."""
    network = random_network(**ARGON)
    expected = {
        "fp64": 8 * 8513,
        "fp32": 4 * 8513,
        "bf16": 2 * 8513,
        "bf16_hidden": 2 * 8192 + 4 * 321,
        "int8": 8192 + 256 * 4 + 4 * 321,
        "int8_refit": 8192 + 256 * 4 + 4 * 321,
        "int4": 4096 + 256 * 4 + 4 * 321,
        "int4_refit": 4096 + 256 * 4 + 4 * 321,
    }
    assert {format: packed_bytes(convert(network, format)) for format in FORMATS} == expected


def test_float_formats_are_torch_s_own_rounding() -> None:
    network = random_network(**ARGON)
    for format, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        for name, tensor in convert(network, format).state_dict().items():
            assert torch.equal(tensor, network.state_dict()[name].to(dtype).double())


def test_only_matrices_between_hidden_layers_get_few_bits() -> None:
    network = random_network(**SALT)
    for format in ("bf16_hidden", "int8", "int4"):
        state = convert(network, format).state_dict()
        for name, tensor in network.state_dict().items():
            kept = torch.equal(state[name], tensor.float().double())
            assert kept == (not name.endswith(".2.weight")), name


def test_conversions_that_cannot_be() -> None:
    network = random_network(**ARGON)
    with pytest.raises(HydrasurrError, match="no format 'int5'.*did you mean"):
        convert(network, "int5")
    rounded = convert(network, "int4")
    assert convert(rounded, "int4") is rounded
    with pytest.raises(HydrasurrError, match="make 'int8' of the fp64 network"):
        convert(rounded, "int8")
    assert network.format == "fp64"


def error_of(network: PairMLP, reference: PairMLP, distances: Tensor = DISTANCES) -> float:
    kind = KIND[: len(distances)]
    return float((network(distances, kind) - reference(distances, kind)).square().mean().sqrt())


@pytest.mark.parametrize("bits", ["int4", "int8"])
def test_the_refit_comes_closer(bits: str) -> None:
    network = random_network(**ARGON)
    plain, mended = convert(network, bits), convert(network, f"{bits}_refit")
    assert error_of(mended, network) < error_of(plain, network) / 5
    changed = [n for n, t in plain.state_dict().items() if not torch.equal(t, mended.state_dict()[n])]
    assert changed == ["networks.0.6.weight", "networks.0.6.bias"]


def test_no_other_output_layer_is_much_closer() -> None:
    """The least squares of numpy, unbounded and in float64, win little over what float32 can keep."""
    network = random_network(**ARGON)
    mended = convert(network, "int4_refit")
    x = mended.normalise(DISTANCES, 0)[:, None]
    features = np.concatenate([mended.networks[0][:-1](x).numpy(), np.ones((len(x), 1))], 1)
    target = network.networks[0](x).numpy()[:, 0]
    best = np.linalg.lstsq(features, target, rcond=1e-6)[0]
    residual = np.sqrt(np.mean((features @ best - target) ** 2)) * network.spec.force_scale
    plain = error_of(convert(network, "int4"), network)
    assert error_of(mended, network) - residual < 0.02 * plain


def test_the_refit_serves_the_distances_it_is_given() -> None:
    network = random_network(**ARGON)
    for parameter in network.parameters():
        parameter *= 4  # so that the force has some shape
    near = torch.linspace(3.1, 3.6, 500, dtype=torch.float64)
    everywhere, nearby = convert(network, "int4_refit"), convert(network, "int4_refit", [near])
    assert error_of(nearby, network, near) < error_of(everywhere, network, near)
    assert error_of(nearby, network) > error_of(everywhere, network)


def test_the_refit_mends_each_pair_of_elements() -> None:
    network = random_network(**SALT)
    plain, mended = convert(network, "int4"), convert(network, "int4_refit")
    for kind in range(3):
        at = torch.linspace(3.3, 8, 400, dtype=torch.float64), torch.full((400,), kind)
        errors = [float((other(*at) - network(*at)).square().mean()) for other in (plain, mended)]
        assert errors[1] < errors[0]
