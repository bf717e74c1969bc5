"""The pair network against the formula in plain numpy, and its file against damage."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from hydrasurr.errors import ConfigError, HydrasurrError, StructureError
from hydrasurr.models.pair_mlp import HEADER, PairMLP, PairSpec, load_pair, read_pair, save_pair
from hydrasurr.models.pair_quantize import FORMATS, convert
from hydrasurr.strict import parse

ARGON = {"elements": (18,), "cutoff": 8.5, "r_min": (3.1,), "force_scale": 0.045}
SALT = {"elements": (11, 17), "cutoff": 8.0, "r_min": (3.2, 2.2, 3.3), "force_scale": 0.7, "hidden": (8, 5)}


def random_network(seed: int = 0, **spec: object) -> PairMLP:
    torch.manual_seed(seed)
    return PairMLP(PairSpec(**spec)).requires_grad_(False)


def by_hand(network: PairMLP, kind: int, distance: np.ndarray) -> np.ndarray:
    """The formula of the report in numpy, from the names of the tensors alone."""
    spec, state = network.spec, {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    s, s_min = distance / spec.cutoff, spec.r_min[kind] / spec.cutoff
    h = ((s - s_min) / (1 - s_min))[:, None]
    for layer in range(len(spec.hidden) + 1):
        name = f"networks.{kind}.{2 * layer}"
        h = h @ state[f"{name}.weight"].T + state[f"{name}.bias"]
        h = np.tanh(h) if layer < len(spec.hidden) else h
    return h[:, 0] * spec.force_scale


def test_is_the_network_of_the_report() -> None:
    network = random_network(**ARGON)
    shapes = [tuple(tensor.shape) for tensor in network.parameters()]
    assert shapes == [(64, 1), (64,), (64, 64), (64,), (64, 64), (64,), (1, 64), (1,)]
    distance = np.linspace(2.5, 8.5, 200)
    got = network(torch.from_numpy(distance), torch.zeros(200, dtype=torch.long))
    assert got.dtype == torch.float64
    np.testing.assert_allclose(got.numpy(), by_hand(network, 0, distance), rtol=1e-12, atol=1e-15)


def test_each_pair_of_elements_has_its_network() -> None:
    network = random_network(**SALT)
    assert network.spec.pairs == ((11, 11), (11, 17), (17, 17))
    rng = np.random.default_rng(0)
    first, second = (torch.from_numpy(rng.choice([11, 17], 300)) for _ in range(2))
    kind = network.kind(first, second)
    assert torch.equal(kind, ((first == 17).long() + (second == 17).long()))
    assert torch.equal(kind, network.kind(second, first))
    distance = rng.uniform(2, 8, 300)
    got = network(torch.from_numpy(distance), kind).numpy()
    for k in range(3):
        rows = kind.numpy() == k
        np.testing.assert_allclose(got[rows], by_hand(network, k, distance[rows]), rtol=1e-12, atol=1e-15)


def test_other_elements_are_refused() -> None:
    network = random_network(**SALT)
    with pytest.raises(StructureError, match=r"\[11, 17\], not \[18\]"):
        network.kind(torch.tensor([11, 17]), torch.tensor([17, 18]))
    assert network.kind(torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long)).shape == (0,)


def test_the_switch_ends_the_force_smoothly() -> None:
    jumping = random_network(**ARGON)
    smooth = PairMLP(jumping.spec.model_copy(update={"switch": 1.5}))
    smooth.requires_grad_(False).load_state_dict(jumping.state_dict())
    kind = torch.zeros(1, dtype=torch.long)

    def force(network: PairMLP, r: float) -> float:
        return float(network(torch.tensor([r], dtype=torch.float64), kind))

    assert force(smooth, 6.99) == force(jumping, 6.99)
    assert force(smooth, 8.5) == 0 != force(jumping, 8.5)
    assert 0 < force(smooth, 7.75) / force(jumping, 7.75) == pytest.approx(0.5)
    for r in (7.0, 8.5):  # no jump, nor one of the slope
        h = 1e-4
        left, right = (force(smooth, r) - force(smooth, r - h)) / h, (force(smooth, r + h) - force(smooth, r)) / h
        outside = 0 if r == 8.5 else (force(jumping, r + h) - force(jumping, r - h)) / (2 * h)
        assert left == pytest.approx(outside, abs=1e-6)
        assert r == 8.5 or right == pytest.approx(outside, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"elements": (17, 11), "r_min": (3.0, 3.0, 3.0)}, "ascending"),
        ({"elements": (18, 18), "r_min": (3.0, 3.0, 3.0)}, "each once"),
        ({"elements": (0,)}, "elements"),
        ({"r_min": (3.0, 3.0)}, "expected one for each of 1 pairs"),
        ({"r_min": (8.5,)}, "below the cutoff"),
        ({"switch": 8.5}, "shorter than the cutoff"),
        ({"force_scale": 0.0}, "force_scale"),
        ({"hidden": (64, 1_000_000)}, "hidden"),
    ],
)
def test_impossible_specs_are_refused(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        parse(PairSpec, ARGON | change, "spec")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("spec", [ARGON, SALT | {"switch": 0.5}], ids=["argon", "salt"])
def test_a_file_gives_back_the_same_network(tmp_path: Path, spec: dict, format: str) -> None:
    network = convert(random_network(**spec), format)
    save_pair(tmp_path / "made" / "pair.safetensors", network, {"from": "here"})
    loaded, header = read_pair(tmp_path / "made" / "pair.safetensors")
    assert (loaded.format, loaded.spec, header.notes) == (format, network.spec, {"from": "here"})
    # What is kept in 16 or 32 bits is so already in a converted network: nothing is lost on the way.
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    save_pair(tmp_path / "again.safetensors", loaded, {"from": "here"})
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "made" / "pair.safetensors").read_bytes()
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["again.safetensors", "pair.safetensors"]


def rewritten(path: Path, header: dict | None = None, tensors: dict | None = None, raw: str | None = None) -> Path:
    """The file with keys of its header or tensors replaced (None: dropped)."""
    with safe_open(path, "pt") as file:
        kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text = json.loads(file.metadata()[HEADER])
    kept = {name: tensor for name, tensor in (kept | (tensors or {})).items() if tensor is not None}
    save_file(kept, path, {HEADER: json.dumps(text | (header or {})) if raw is None else raw})
    return path


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"raw": "{"}, "not JSON"),
        ({"header": {"version": 2}}, "version"),
        ({"header": {"format": "int3"}}, "format"),
        ({"header": {"format": "fp32"}}, "float64.*the header says torch.float32"),
        ({"header": {"spec": ARGON | {"hidden": [64, 64]}}}, r"networks.0.4.bias.*\[64\] in the file.*\[1\]"),
        ({"header": {"spec": ARGON | {"hidden": [64, 64, 64, 64]}}}, r"networks.0.6.bias.*\[1\] in the file.*\[64\]"),
        ({"header": {"spec": ARGON | {"cutof": 8}}}, "did you mean 'cutoff'"),
        ({"tensors": {"networks.0.0.bias": None}}, "networks.0.0.bias': none in the file"),
        ({"tensors": {"more": torch.zeros(3)}}, "'more'.*the header says none"),
        ({"tensors": {"networks.0.2.weight": torch.zeros(64, 63, dtype=torch.float64)}}, r"\[64, 63\]"),
        ({"tensors": {"networks.0.6.bias": torch.tensor([torch.nan], dtype=torch.float64)}}, "no finite numbers"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, change: dict, complaint: str) -> None:
    path = tmp_path / "pair.safetensors"
    save_pair(path, random_network(**ARGON))
    with pytest.raises(HydrasurrError, match=complaint) as error:
        load_pair(rewritten(path, **change))
    assert "pair.safetensors" in str(error.value)


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "pair.safetensors"
    with pytest.raises(HydrasurrError, match="no pair network file"):
        load_pair(path)
    save_pair(path, random_network(**ARGON))
    content = path.read_bytes()
    for cut in (0, 5, 100, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(HydrasurrError, match="damaged"):
            load_pair(path)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(HydrasurrError, match="not of a pair network"):
        load_pair(path)
    with pytest.raises(HydrasurrError, match="cannot write"):
        save_pair(path / "below a file", random_network(**ARGON))
