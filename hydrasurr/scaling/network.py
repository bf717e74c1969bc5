"""Networks to forecast for: links with their bandwidth and latency, each figure with its source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from hydrasurr.errors import ConfigError, did_you_mean
from hydrasurr.scaling.fit import Fit
from hydrasurr.scaling.models import AllReduceModel
from hydrasurr.strict import Strict, parse, read_json

MEASURED = "measured"


class Link(Strict):
    """What carries messages between GPUs."""

    name: str
    gigabytes_per_second: float = Field(gt=0)
    """Peak bandwidth of one GPU in one direction, in GB/s (1e9 bytes)."""
    source: str
    """Where the bandwidth is from."""
    achieved: float = Field(0.8, gt=0, le=1)
    """Part of the peak that an all-reduce of large messages gets."""
    bandwidth_error: float = Field(0.2, ge=0)
    """Relative standard error of the bandwidth achieved: an assumption."""
    latency_us: float = Field(ge=0)
    """Latency of a message, in microseconds."""
    latency_source: str
    """Where the latency is from, or that it is an assumption."""
    latency_error: float = Field(0.5, ge=0)
    """Relative standard error of the latency: an assumption."""


class Network(Strict):
    """Nodes of GPUs: one kind of link within a node, another between nodes."""

    name: str
    gpus_per_node: int = Field(gt=0)
    within: Link
    between: Link


@dataclass(frozen=True)
class Level:
    """A link as a forecast uses it; alpha (s) and beta (s/byte) are the best value followed by random draws."""

    ranks: float
    """At most so many ranks (or groups of them) share it."""
    alpha: np.ndarray
    beta: np.ndarray


def levels_of(network: Network, generator: np.random.Generator, count: int) -> list[Level]:
    """The links of a network, inner one first, with `count` draws; errors are log-normal, so no draw is negative."""

    def spread(best: float, error: float) -> np.ndarray:
        normal = generator.standard_normal(count)
        normal[0] = 0
        return best * np.exp(np.log1p(error) * normal)

    def level(link: Link, ranks: float) -> Level:
        bandwidth = link.gigabytes_per_second * 1e9 * link.achieved
        return Level(
            ranks, spread(link.latency_us * 1e-6, link.latency_error), spread(1 / bandwidth, link.bandwidth_error)
        )

    return [level(network.within, network.gpus_per_node), level(network.between, np.inf)]


def measured_level(fit: Fit, generator: np.random.Generator, count: int) -> list[Level]:
    """One link for all ranks, as fitted on this machine."""
    alpha, beta = fit.draws(generator, count).T
    return [Level(np.inf, alpha, beta)]


def all_reduce_seconds(levels: list[Level], model: AllReduceModel, ranks: int, size: float) -> np.ndarray:
    """`[draws]`: seconds of an all-reduce of `size` bytes over `ranks` ranks.

    With nodes of g GPUs it is done in three steps: sums are scattered within each node, every GPU all-reduces its
    S/g bytes with its peers in the other nodes, and the nodes gather. The first and last step together cost one
    all-reduce within the node.
    """
    total: np.ndarray = np.zeros_like(levels[0].alpha)
    for level in levels:
        group = min(ranks, level.ranks)
        total = total + model.seconds(group, size, level.alpha, level.beta)
        ranks, size = -int(-ranks // group), size / group
    return total


NCCL = "tuning constants of NCCL, NVIDIA/nccl src/graph/tuning.cc (commit 01afd20): tree, LL128, {}"
ACHIEVED = (
    "; 0.8 of it achieved: 235 of 300 GB/s measured by nccl-tests on A100 nodes, and the rule of thumb for networks, "
    "both in stas00/ml-engineering network/README.md (commit 0030e63)"
)
NVLINKS = "stas00/ml-engineering network/README.md (commit 0030e63), table of NVLink generations"

PRESETS = {
    "perlmutter": Network(
        name="Perlmutter-like: 4 A100 a node, NVLink 3, 4 x Slingshot 11",
        gpus_per_node=4,
        within=Link(
            name="NVLink 3",
            gigabytes_per_second=300,
            source=f"12 links x 25 GB/s: {NVLINKS}{ACHIEVED}",
            latency_us=1.2,
            latency_source=NCCL.format("NVLink"),
        ),
        between=Link(
            name="Slingshot 11",
            gigabytes_per_second=25,
            source="4 NICs for 4 GPUs: docs.nersc.gov/systems/perlmutter/architecture; 200 Gb/s each: "
            f"stas00/ml-engineering network/README.md (commit 0030e63){ACHIEVED}",
            latency_us=8.5,
            latency_source=NCCL.format("network") + "; taken to hold for Slingshot, an assumption",
        ),
    ),
    "summit": Network(
        name="Summit-like: 6 V100 a node, NVLink 2, dual-rail EDR InfiniBand",
        gpus_per_node=6,
        within=Link(
            name="NVLink 2 and X-Bus",
            gigabytes_per_second=32,
            source="a ring over 6 GPUs passes the X-Bus between the two sockets, 64 GB/s both directions together: "
            "en.wikichip.org/wiki/supercomputers/summit; NVLink 2 alone has 50 GB/s between GPUs of a socket: OLCF "
            f"Summit User Guide, olcf/olcf-user-docs systems/summit_user_guide.rst{ACHIEVED}",
            latency_us=1.2,
            latency_source=NCCL.format("NVLink"),
        ),
        between=Link(
            name="EDR InfiniBand",
            gigabytes_per_second=23 / 6,
            source="23 GB/s injected by a node, shared by 6 GPUs: OLCF Summit User Guide, olcf/olcf-user-docs "
            f"systems/summit_user_guide.rst{ACHIEVED}",
            latency_us=8.5,
            latency_source=NCCL.format("network"),
        ),
    ),
    "dgx-h100": Network(
        name="DGX H100: 8 H100 a node, NVLink 4, 8 x NDR400 InfiniBand",
        gpus_per_node=8,
        within=Link(
            name="NVLink 4",
            gigabytes_per_second=450,
            source=f"18 links x 25 GB/s: {NVLINKS}{ACHIEVED}",
            latency_us=1.2,
            latency_source=NCCL.format("NVLink") + "; taken to hold for NVLink 4, an assumption",
        ),
        between=Link(
            name="NDR400 InfiniBand",
            gigabytes_per_second=50,
            source="8 x 400 Gb/s for 8 GPUs: stas00/ml-engineering network/README.md (commit 0030e63), table of "
            f"inter-node networks; 8 ConnectX-7 ports: DGX H100 User Guide, table of network modules{ACHIEVED}",
            latency_us=8.5,
            latency_source=NCCL.format("network") + "; taken to hold for NDR, an assumption",
        ),
    ),
}
"""Names of `--network`. Peak figures with their sources; what an application gets of them varies from day to day."""


def find_network(name: str) -> Network | None:
    """A preset, or the network described in a JSON file; None for "measured". Raises ConfigError for neither."""
    if name == MEASURED:
        return None
    if name in PRESETS:
        return PRESETS[name]
    if name.endswith(".json") or Path(name).is_file():
        return parse(Network, read_json(name), name)
    known = [*PRESETS, MEASURED]
    raise ConfigError(f"--network {name}: no preset and no JSON file of that name{did_you_mean(name, known)}")
