"""Molecular dynamics by one potential, and what is measured along it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from ase import units
from ase.data import atomic_masses

from hydrasurr.md.analysis import MSD, RDF, energy_drift
from hydrasurr.md.analysis.thermo import block_mean
from hydrasurr.md.argon.settings import ArgonStudy
from hydrasurr.md.engines import Engine, LammpsEngine, OwnEngine, choose_engine
from hydrasurr.md.frame import Frame, paths
from hydrasurr.md.state import State
from hydrasurr.md.study.stages import Result
from hydrasurr.md.velocities import maxwell_boltzmann
from hydrasurr.surrogate.potentials.contract import Potential

BIN = 0.05
"""Of g(r), Angstrom."""
RDF_EVERY_PS = 0.2
"""Frames nearer in time add little to g(r)."""
RDF_FRAMES = 10
"""But short runs give it so many."""
NVE_SAMPLES = 200
ROLLOUT_SAMPLES = 20

Advance = Callable[[float], None]
"""Is told how many picoseconds more have been done."""


@dataclass(frozen=True)
class Forces:
    """The same forces for both engines: a potential, and lines of LAMMPS input."""

    potential: Potential
    style: str

    def engine(self, study: ArgonStudy, state: State) -> Engine:
        """What moves a state by these forces."""
        if choose_engine(study.engine) == "lammps":
            return LammpsEngine(state, self.style, study.timestep_fs, study.skin)
        return own_engine(study, state, self.potential)


def own_engine(study: ArgonStudy, state: State, potential: Potential) -> Engine:
    potential.skin = study.skin
    return OwnEngine(state, potential, study.timestep_fs)


def another_start(study: ArgonStudy, frame: Frame, seed: int) -> Frame:
    """The same positions with velocities drawn anew."""
    masses = atomic_masses[frame.systems.numbers]
    momenta = maxwell_boltzmann(frame.systems, masses, study.temperature_K, seed)
    return Frame(0, 0.0, frame.systems, momenta / masses[:, None] * units.fs)


def produce(study: ArgonStudy, forces: Forces, start: Frame, seed: int, advance: Advance) -> Result:
    """A run at constant temperature (the seed is that of the heat bath) and, for the drift, one at constant energy.

    Facts: `temperature` (K), `potential_energy` (meV/atom), `pressure` (bar), `diffusion` (1e-5 cm^2/s) and `drift`
    (meV/atom/ps) as a Mean each, the `first_peak` of g(r) and the `closest` distance of two atoms (Angstrom).
    """
    plan, atoms = study.dynamics, start.systems.num_atoms
    interval, count = study.steps(plan.interval_ps), round(plan.length_ps / plan.interval_ps)
    every = max(min(round(RDF_EVERY_PS / plan.interval_ps), count // RDF_FRAMES), 1)
    rdf, frames, nve = RDF(plan.r_max, round(plan.r_max / BIN)), [], []
    with forces.engine(study, start.state(forces.potential)) as engine:
        engine.heat_bath(study.temperature_K, seed)
        engine.run(study.steps(plan.equilibration_ps) if plan.equilibration_ps else 0)
        advance(plan.equilibration_ps)
        for index in range(1, count + 1):
            engine.run(interval)
            frames.append(engine.frame(index * interval))
            if index % every == 0:
                rdf.compute(frames[-1], reset=False)
            advance(plan.interval_ps)
        engine.heat_bath(None)
        step = max(study.steps(plan.nve_ps) // NVE_SAMPLES, 1)
        for index in range(NVE_SAMPLES + 1):
            engine.run(step if index else 0)
            nve.append(engine.frame(index * step))
            advance(plan.nve_ps / NVE_SAMPLES)
    kinetic = np.array([frame.to_ase().get_kinetic_energy() for frame in frames])
    temperature = 2 * kinetic / ((3 * atoms - 3) * units.kB)
    energy = np.array([1000 * frame.energy / atoms for frame in frames])
    pressure = np.array([frame.pressure_bar for frame in frames])
    msd = MSD().compute(*paths(frames))
    conserved = np.array([frame.total_energy for frame in nve])
    nve_time = np.array([frame.time_ps for frame in nve])
    facts = {
        "temperature": asdict(block_mean(temperature, "K")),
        "potential_energy": asdict(block_mean(energy, "meV/atom")),
        "pressure": asdict(block_mean(pressure, "bar")),
        "diffusion": {"mean": msd.diffusion, "error": msd.diffusion_error, "unit": "1e-5 cm^2/s"},
        "drift": asdict(energy_drift(nve_time, conserved, atoms)),
        "first_peak": rdf.first_peak._asdict(),
        "closest": float(rdf.edges[int((rdf.g > 0).argmax())]),
    }
    arrays = {
        "time": np.array([frame.time_ps for frame in frames]),
        "potential_energy": energy,
        "pressure": pressure,
        "temperature": temperature,
        "r": rdf.r,
        "g": rdf.g,
        "msd_time": msd.time,
        "msd": msd.msd,
        "nve_time": nve_time,
        "nve_energy": 1000 * (conserved - conserved[0]) / atoms,
    }
    return Result(facts, arrays)


def roll_out(study: ArgonStudy, network: Potential, table: Forces, start: Frame, advance: Advance) -> Result:
    """The network itself beside its table: two short runs at constant energy from one moment.

    Facts: root mean square differences of `force` (eV/Angstrom) at the begin and of `position` (Angstrom) at the end,
    the largest difference of `potential_energy` between (meV/atom), and the mean of both runs' fluctuation of the
    total energy (`network_fluctuation`, `table_fluctuation`, standard deviations in meV/atom).
    """
    state, atoms = start.state(network), start.systems.num_atoms
    step = max(study.steps(study.dynamics.rollout_ps) // ROLLOUT_SAMPLES, 1)
    runs: list[list[Frame]] = []
    for make in (lambda: own_engine(study, state, network), lambda: table.engine(study, state)):
        with make() as engine:
            frames = [engine.frame(0)]
            for index in range(1, ROLLOUT_SAMPLES + 1):
                engine.run(step)
                frames.append(engine.frame(index * step))
                advance(study.dynamics.rollout_ps / ROLLOUT_SAMPLES)
        runs.append(frames)
    first, second = runs
    energies = [[frame.energy for frame in frames] for frames in runs]
    totals = [[frame.total_energy for frame in frames] for frames in runs]
    return Result(
        {
            "length_ps": first[-1].time_ps,
            "force": _rms(first[0].forces - second[0].forces),
            "position": _rms(first[-1].systems.positions - second[-1].systems.positions),
            "potential_energy": float(1000 * np.abs(np.subtract(*energies)).max() / atoms),
            "network_fluctuation": float(1000 * np.std(totals[0]) / atoms),
            "table_fluctuation": float(1000 * np.std(totals[1]) / atoms),
        }
    )


def _rms(difference: np.ndarray) -> float:
    return float(np.sqrt(np.mean(difference**2)))
