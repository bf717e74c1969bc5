"""The pair network in torch: by number format, in chunks and not, and beside the neighbour search."""

from __future__ import annotations

import time
from collections.abc import Callable

from torch import nn

from benchmarks.md import argon
from benchmarks.measure import Timing, interleaved
from benchmarks.molecules import Setting
from benchmarks.result import Bar, Result
from hydrasurr.graphs.systems import Systems
from hydrasurr.md.dynamics import NVE
from hydrasurr.models.pair_mlp import PairMLP
from hydrasurr.surrogate.potentials.pair_mlp import PairNetwork

ATOMS = (864, 6_078, 12_156, 24_312, 32_000, 48_624, 60_780)
"""Of the neighbour search: the sizes of the report's Fig. 13 (6,078 atoms once to ten times) and of other rows."""


def formats(result: Result, setting: Setting, liquid: Systems, network: PairMLP) -> None:
    """Forces on the pairs of one configuration."""
    pairs = argon.lennard_jones().neighbours.pairs(liquid)
    potentials = {
        "fp64": PairNetwork(network, "fp64"),
        "fp32": PairNetwork(network, "fp32"),
        "fp32, whole batch": WholeBatch(network, len(pairs)),
        "bf16": PairNetwork(network, "bf16"),
        "bf16, products for every pair": PairNetwork(network, "bf16", lookup=False),
        "int8": PairNetwork(network, "int8"),
        "int4_refit": PairNetwork(network, "int4_refit"),
    }

    def evaluate(potential: PairNetwork) -> Callable[[], int]:
        return lambda: len(potential.compute(liquid, pairs).forces)

    timing = interleaved({name: evaluate(potential) for name, potential in potentials.items()}, setting.repeats)
    for name, times in timing.items():
        result.rows.append(row("pair network in torch", liquid, name, times))
    fp32 = timing["fp32"]
    result.bars += [
        Bar("fp32 in chunks / whole batch", fp32.over(timing["fp32, whole batch"]), 1.8),
        Bar("bf16 / fp32", timing["bf16"].over(fp32), 1.25),
    ]
    ratio = timing["bf16, products for every pair"].over(fp32)
    result.notes.append(
        "bf16 looks the outputs up that bfloat16 products gave for each of the 16,257 possible inputs, the same values "
        f"to the bit; with products for every pair it is {ratio:.2f} times as fast as fp32 on this processor"
    )


class WholeBatch(PairNetwork):
    """The same potential with plain torch layers, on all pairs at once."""

    def __init__(self, network: PairMLP, pairs: int):
        super().__init__(network, "fp32")
        plain, self.chunk = plain_network(network), pairs
        self._evaluate = [lambda x: plain(x.float()[:, None])[:, 0].double()]


def plain_network(network: PairMLP) -> nn.Sequential:
    """The layers as a user of torch would write them, float32."""
    layers: list[nn.Module] = []
    for weight, bias in network.layers(0):
        linear = nn.Linear(weight.shape[1], weight.shape[0])
        linear.load_state_dict({"weight": weight, "bias": bias})
        layers += [linear, nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def search_share(result: Result, setting: Setting, network: PairMLP) -> None:
    """Neighbour search along a trajectory against the force evaluation of the pair network in float32."""
    largest = 0.0
    for atoms in ATOMS if not setting.minimal else (500,):
        search, force = step_parts(setting, argon.liquid(setting, atoms), PairNetwork(network, "fp32"))
        share = search / (search + force)
        largest = max(largest, share)
        for part, seconds in (("neighbour search", search), ("forces, fp32", force)):
            result.rows.append({"what": "a step", "atoms": atoms, "by": part, "ms": 1000 * seconds})
        result.notes.append(f"{atoms:,} atoms: neighbour search takes {share:.1%} of a step of the fp32 pair network")
    result.bars.append(Bar("neighbour search, largest share of a step", 100 * largest, 15, at_most=True, unit=" %"))


def step_parts(setting: Setting, start: Systems, potential: PairNetwork) -> tuple[float, float]:
    """Seconds a step of search and of forces. The search is a mean over a trajectory, rebuilding included."""
    reference = argon.lennard_jones()
    dynamics = NVE(argon.at_100_kelvin(start, reference), reference, timestep_fs=2)
    potential.skin = argon.SKIN
    search, pairs = 0.0, potential.neighbours.pairs(start)
    steps = setting.size(60, 5)
    for _ in range(steps):
        dynamics.step()
        mark = time.perf_counter()
        pairs = potential.neighbours.pairs(dynamics.state.systems)
        search += time.perf_counter() - mark
    force = interleaved({"": lambda: len(potential.compute(dynamics.state.systems, pairs).forces)}, setting.repeats)[""]
    return search / steps, start.num_atoms / force.rate


def row(what: str, liquid: Systems, name: str, times: Timing) -> dict[str, object]:
    return {"what": what, "atoms": liquid.num_atoms, "by": name, "ms": 1000 * liquid.num_atoms / times.rate}
