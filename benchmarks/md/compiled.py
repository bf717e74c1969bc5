"""Force fields compiled ahead of time against PyTorch step by step."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from ase.build import bulk, molecule

from benchmarks.measure import interleaved
from benchmarks.molecules import Setting
from benchmarks.result import Bar, Result
from hydrasurr.graphs.systems import Systems
from hydrasurr.models.force_field.config import ForceFieldConfig
from hydrasurr.models.force_field.network import ForceField
from hydrasurr.surrogate.adapters.aot import AOTPotential, export
from hydrasurr.surrogate.potentials.contract import Potential
from hydrasurr.surrogate.potentials.network import NetworkPotential

CONFIGS = {
    "PaiNN": ForceFieldConfig(representation="painn", width=64, layers=3),
    "SchNet": ForceFieldConfig(representation="schnet", width=64, layers=3),
}
MINIMAL = ForceFieldConfig(representation="schnet", width=8, layers=1)
LARGEST_DIFFERENCE = 1e-6
"""Of forces, relative to the largest one, float64 weights."""


def ahead_of_time(result: Result, setting: Setting) -> None:
    """The same call of a potential in both forms, neighbour search included; float32 weights as initialised."""
    for name, config in CONFIGS.items() if not setting.minimal else [("SchNet", MINIMAL)]:
        torch.manual_seed(0)
        network = ForceField(config, elements=[1, 6, 8, 14])
        difference = _difference(setting, name, copy.deepcopy(network).set_dtype(torch.float64))
        native = _compiled(setting, name, network)
        ratios = {}
        for title, systems in _inputs(setting).items():
            cases = {"eager": _call(NetworkPotential(network), systems), "ahead of time": _call(native, systems)}
            timing = interleaved(cases, setting.repeats, warmup=2)
            for by, times in timing.items():
                row = {"what": f"{name}, {title}", "atoms": systems.num_atoms, "by": by, "ms": 1000 / times.rate}
                result.rows.append(row)
            ratios[title] = timing["ahead of time"].over(timing["eager"])
        result.bars += [Bar(f"{name} ahead of time / eager, {title}", ratio, 1.8) for title, ratio in ratios.items()]
        result.notes.append(
            f"{name}: forces of the package differ from eager ones by {difference:.0e} of the largest, float64 weights"
        )


def _inputs(setting: Setting) -> dict[str, Systems]:
    silicon = bulk("Si", cubic=True) * ((setting.size(4, 1),) * 3)
    silicon.rattle(0.1, seed=0)
    return {"silicon": Systems.from_ase(silicon), "ethanol": Systems.from_ase(molecule("CH3CH2OH"))}


def _call(potential: Potential, systems: Systems) -> Callable[[], int]:
    calls = max(1, 200 // systems.num_atoms)

    def case() -> int:
        for _ in range(calls):
            potential.evaluate(systems)
        return calls

    return case


def _compiled(setting: Setting, name: str, network: ForceField) -> AOTPotential:
    folder = setting.cache / f"{name}_{network.dtype}".replace("torch.", "")
    setting.cache.mkdir(parents=True, exist_ok=True)
    export(network, folder)
    return AOTPotential.load(folder)


def _difference(setting: Setting, name: str, network: ForceField) -> float:
    """The largest relative difference of forces. Raises AssertionError if it is more than LARGEST_DIFFERENCE."""
    native, eager, largest = _compiled(setting, name, network), NetworkPotential(network), 0.0
    for systems in _inputs(setting).values():
        forces = eager.evaluate(systems).forces
        error = np.abs(native.evaluate(systems).forces - forces).max() / np.abs(forces).max()
        largest = max(largest, float(error))
    assert largest < LARGEST_DIFFERENCE, f"forces of the package differ by {largest:.1e} of the largest"
    return largest
