"""Molecular dynamics of rock salt: frames to learn from, and runs that a model is judged by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np
from ase import units

from hydrasurr.graphs.systems import Systems
from hydrasurr.md.analysis import RDF, energy_drift
from hydrasurr.md.analysis.thermo import block_mean
from hydrasurr.md.frame import Frame
from hydrasurr.md.nacl.model import KINDS, Forces
from hydrasurr.md.nacl.settings import NaClStudy
from hydrasurr.md.state import begin
from hydrasurr.md.study.stages import Result
from hydrasurr.md.velocities import maxwell_boltzmann

BIN = 0.05
"""Of g(r), Angstrom."""
NVE_SAMPLES = 100

Advance = Callable[[float], None]
"""Is told how many picoseconds more have been done."""


def record(
    study: NaClStudy,
    forces: Forces,
    systems: Systems,
    temperature_K: float,
    equilibration_ps: float,
    frames: int,
    interval_ps: float,
    seed: int,
    advance: Advance,
) -> list[Frame]:
    """Frames of a run at constant energy, after an equilibration of ions at rest at these positions.

    Half of the energy that the velocities begin with goes into the lattice: a crystal at rest is cold.
    """
    state = begin(systems, forces.potential)
    momenta = maxwell_boltzmann(systems, state.masses, 2 * temperature_K, seed)
    found = []
    with forces.engine(study, begin(systems, forces.potential, momenta, state.masses)) as engine:
        engine.heat_bath(temperature_K, seed)
        engine.run(study.steps(equilibration_ps))
        advance(equilibration_ps)
        engine.heat_bath(None)
        for index in range(frames):
            engine.run(study.steps(interval_ps) if index else 0)
            found.append(engine.frame(index * study.steps(interval_ps)))
            advance(interval_ps)
    return found


def produce(study: NaClStudy, forces: Forces, start: Frame, advance: Advance) -> Result:
    """A run at constant temperature and, for the drift, one at constant energy.

    Facts: `temperature` (K), `potential_energy` (meV/ion), `pressure` (bar) and `drift` (meV/ion/ps) as a Mean each,
    and the `first_peak` of the g(r) of Na-Cl. Arrays: `r`, and `g` `[3, bins]` in the order of KINDS.
    """
    plan, ions = study.dynamics, start.systems.num_atoms
    rdfs = [RDF(plan.r_max, round(plan.r_max / BIN), tuple(kind.split("-"))) for kind in KINDS]
    frames, nve = [], []
    with forces.engine(study, start.state(forces.potential)) as engine:
        engine.heat_bath(study.temperature_K, study.seed)
        engine.run(study.steps(plan.equilibration_ps))
        advance(plan.equilibration_ps)
        for index in range(1, round(plan.length_ps / plan.interval_ps) + 1):
            engine.run(study.steps(plan.interval_ps))
            frames.append(engine.frame(index * study.steps(plan.interval_ps)))
            advance(plan.interval_ps)
        engine.heat_bath(None)
        step = max(study.steps(plan.nve_ps) // NVE_SAMPLES, 1)
        for index in range(NVE_SAMPLES + 1):
            engine.run(step if index else 0)
            nve.append(engine.frame(index * step))
            advance(plan.nve_ps / NVE_SAMPLES)
    for rdf in rdfs:
        rdf.compute(frames)
    kinetic = np.array([frame.to_ase().get_kinetic_energy() for frame in frames])
    conserved = np.array([frame.total_energy for frame in nve])
    time = np.array([frame.time_ps for frame in nve])
    energy = np.array([1000 * frame.energy / ions for frame in frames])
    pressure = np.array([frame.pressure_bar for frame in frames])
    facts = {
        "temperature": asdict(block_mean(2 * kinetic / ((3 * ions - 3) * units.kB), "K")),
        "potential_energy": asdict(block_mean(energy, "meV/ion")),
        "pressure": asdict(block_mean(pressure, "bar")),
        "drift": {**asdict(energy_drift(time, conserved, ions)), "unit": "meV/ion/ps"},
        "first_peak": rdfs[1].first_peak._asdict(),
    }
    arrays = {
        "time": np.array([frame.time_ps for frame in frames]),
        "potential_energy": energy,
        "pressure": pressure,
        "r": rdfs[0].r,
        "g": np.stack([rdf.g for rdf in rdfs]),
        "nve_time": time,
        "nve_energy": 1000 * (conserved - conserved[0]) / ions,
    }
    return Result(facts, arrays)


def shuffled(frame: Frame, seed: int) -> Frame:
    """The same positions, and velocities that ions of an element have exchanged: another run of the same state."""
    generator, velocities = np.random.default_rng(seed), frame.velocities.copy()
    for number in set(frame.systems.numbers.tolist()):
        rows = np.flatnonzero(frame.systems.numbers == number)
        velocities[rows] = velocities[generator.permutation(rows)]
    return Frame(0, 0.0, frame.systems, velocities)


def kept(frames: Sequence[Frame]) -> dict[str, np.ndarray]:
    """Frames of one cell as arrays, for a Result."""
    arrays = {name: np.stack([getattr(frame, name) for frame in frames]) for name in ("velocities", "forces", "stress")}
    return {
        **arrays,
        "numbers": frames[0].systems.numbers,
        "cell": frames[0].systems.cell[0],
        "positions": np.stack([frame.systems.positions for frame in frames]),
        "time": np.array([frame.time_ps for frame in frames]),
        "energy": np.array([frame.energy for frame in frames]),
    }


def frames_of(result: Result) -> list[Frame]:
    """Those that were `kept`."""
    columns = result.arrays
    names = ("velocities", "forces", "energy", "stress")
    return [
        Frame(
            step,
            float(columns["time"][step]),
            Systems.single(columns["numbers"], columns["positions"][step], columns["cell"], True),
            *(columns[name][step] for name in names),
        )
        for step in range(len(columns["time"]))
    ]
