"""Where the time of a step goes, over system size: as in Figs. 9 and 14 of PNNL-38353."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from hydrasurr.graphs.neighbours import NeighbourList
from hydrasurr.graphs.systems import Systems
from hydrasurr.md.engines import LammpsEngine
from hydrasurr.md.nacl.model import CHARGES, RockSalt
from hydrasurr.md.state import begin
from hydrasurr.md.velocities import maxwell_boltzmann
from hydrasurr.surrogate.potentials.coulomb import Charges, CoulombFar
from hydrasurr.surrogate.potentials.pairwise import PairPotential
from hydrasurr.surrogate.potentials.splitting import COULOMB, Splitting
from hydrasurr.surrogate.potentials.torch_pme import p3m

Milliseconds = dict[str, float]
PARTS = {"Pair": "pair", "Kspace": "k-space"}
"""LAMMPS' name -> name here; all else is "other"."""
FEWEST_STEPS = 5
DISPLACED = 0.13
"""Root mean square of a coordinate's displacements in NaCl at 298 K, about, Angstrom: enough to time on."""


@dataclass(frozen=True)
class Road:
    """One way to get the forces in LAMMPS: lines of input, with charges or without."""

    style: str
    charged: bool = True


def displaced(model: RockSalt, cells: int) -> Systems:
    """A crystal whose ions are displaced at random."""
    systems = model.crystal(cells)
    shifts = np.random.default_rng(model.study.seed).normal(0, DISPLACED, systems.positions.shape)
    return Systems.single(systems.numbers, systems.positions + shifts, systems.cell[0], True)


def in_lammps(
    model: RockSalt, cells: int, roads: Mapping[str, Road], advance: Callable[[], None]
) -> dict[str, Milliseconds]:
    """Milliseconds a step in LAMMPS by its own breakdown: "pair", "k-space" and "other", in the fastest of the repeats.

    What else runs on a machine only adds; and the roads take turns, so that it adds to all alike.
    """
    study, systems = model.study, displaced(model, cells)
    still = begin(systems, model.born)
    momenta = maxwell_boltzmann(systems, still.masses, study.temperature_K, study.seed)
    state = begin(systems, model.born, momenta, still.masses)
    engines, steps = {}, {}
    found: dict[str, list[Milliseconds]] = {name: [] for name in roads}
    try:
        for name, road in roads.items():
            charges = CHARGES if road.charged else None
            engines[name] = LammpsEngine(state, road.style, study.timestep_fs, study.skin, charges)
            first = sum(engines[name].timed(FEWEST_STEPS).values()) / FEWEST_STEPS
            steps[name] = max(round(study.scaling.seconds / max(first, 1e-6)), FEWEST_STEPS)
        for _ in range(study.scaling.repeats):
            for name, engine in engines.items():
                found[name].append(_parts(engine.timed(steps[name]), steps[name]))
                advance()
    finally:
        for engine in engines.values():
            engine.close()
    return {name: min(runs, key=lambda parts: sum(parts.values())) for name, runs in found.items()}


def _parts(seconds: Mapping[str, float], steps: int) -> Milliseconds:
    parts = {name: 1000 * seconds.get(theirs, 0.0) / steps for theirs, name in PARTS.items()}
    return {**parts, "other": 1000 * sum(seconds.values()) / steps - sum(parts.values())}


def in_torch(
    model: RockSalt, cells: int, short: Mapping[str, PairPotential], advance: Callable[[], None]
) -> Milliseconds:
    """Milliseconds of each part of an evaluation here, the least of the repeats: "neighbours" (a new search), the
    potentials in `short` by name, "near", and "far" in "fp64" and "fp32"."""
    study, systems = model.study, displaced(model, cells)
    search = NeighbourList(study.cutoff)
    pairs = search.pairs(systems)
    far = CoulombFar(CHARGES, model.splitting)
    calls: dict[str, Callable[[], object]] = {
        "neighbours": lambda: NeighbourList(study.cutoff).pairs(systems),
        **{name: lambda one=one: one.compute(systems, pairs) for name, one in short.items()},
        "near": lambda: model.near.compute(systems, pairs),
        "far fp64": lambda: far.evaluate(systems),
        "far fp32": lambda: far_forces(systems, model.splitting, torch.float32),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(study.scaling.repeats + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn:  # the first one warms up
                times[name].append(1000 * (time.perf_counter() - start))
        advance()
    return {name: min(values) for name, values in times.items()}


def far_forces(systems: Systems, splitting: Splitting, dtype: torch.dtype) -> np.ndarray:
    """Forces `[N, 3]` of the far part of Coulomb on a mesh, in a precision other than CoulombFar's float64."""
    charges = Charges(CHARGES).of(torch.from_numpy(systems.numbers)).to(dtype)[:, None]
    positions = torch.tensor(systems.positions, dtype=dtype, requires_grad=True)
    cell = torch.tensor(systems.cell[0], dtype=dtype)
    none = torch.empty(0, 2, dtype=torch.int64), torch.empty(0, dtype=dtype)
    calculator = p3m(splitting.smearing, splitting.resolution).to(dtype)
    energy = COULOMB * (charges * calculator(charges, cell, positions, *none)).sum()
    (gradient,) = torch.autograd.grad(energy, positions)
    return -gradient.double().numpy()
