"""A whole run from its configuration: restart, loop, stops, results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.io import write

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.files import write_text
from hydrasurr.graphs.systems import Systems
from hydrasurr.md.analysis.thermo import Thermo
from hydrasurr.md.config import MDConfig
from hydrasurr.md.dynamics import NVE, Dynamics
from hydrasurr.md.folder import MDFolder
from hydrasurr.md.frame import Frame
from hydrasurr.md.log import LogLine, LogWriter, read_log
from hydrasurr.md.monitors import Monitor, RunningLine, guard_counts, restore_counts
from hydrasurr.md.nvt import Bussi, Langevin
from hydrasurr.md.restart import Restart
from hydrasurr.md.resumable import Resumable
from hydrasurr.md.state import State, begin
from hydrasurr.md.trajectory import DcdWriter, TrajectoryWriter, XyzWriter, dcd_box
from hydrasurr.md.velocities import at_rest, maxwell_boltzmann
from hydrasurr.md.watch import Watcher
from hydrasurr.surrogate.potentials.contract import Potential
from hydrasurr.surrogate.potentials.guard import with_guards
from hydrasurr.surrogate.potentials.load import load_potential
from hydrasurr.training.stop import StopRequest

Results = dict[str, Any]


def run(
    config: MDConfig,
    folder: MDFolder,
    *,
    resume: bool = False,
    force: bool = False,
    time_limit: float | None = None,
    show: bool = True,
) -> Results:
    """Run to the last step, or until a signal or the time limit (seconds).

    A resumed run equals an uninterrupted one to the last bit, on the same number of threads; on a GPU to rounding, as
    its sums have no fixed order.

    Returns what is also written to results.json. Raises RunFailed if the run came to nonsense or to one of its limits;
    all files up to there are kept, and the restart is the last one before.
    """
    potential = with_guards(load_potential(config.potential))
    resumed = folder.check(config, resume=resume, force=force)
    torch.set_num_threads(config.threads)
    simulation = Simulation(config, folder, potential, resumed)
    folder.prepare(config, keep=resumed)  # only now, as a structure and a potential that do not fit have told so
    ended = "interrupted"
    with (
        StopRequest(time_limit).on_signals() as stop,
        Watcher(show, config.timestep_fs, simulation.step, config.steps) as watcher,
        simulation.files(),
    ):
        watcher.say(_introduction(config, simulation))
        try:
            while simulation.step < config.steps and not stop.requested:
                simulation.advance()
                watcher.step(simulation.dynamics.state, simulation.step)
            simulation.save()
            ended = "finished" if simulation.step == config.steps else f"stopped by {stop.reason}"
        except (HydrasurrError, OSError) as error:
            ended = f"failed: {error}"
            raise
        finally:
            speed = watcher.ns_per_day(simulation.step)
            simulation.flush()
            results = _results(simulation, folder, ended, speed)
        if ended != "finished":
            watcher.say(f"{ended} at step {simulation.step:,}; go on with --resume")
    return results


class Simulation:
    """A run in progress: moves, records, saves.

    Attributes
    ----------
    dynamics : what moves
    step : steps done
    """

    def __init__(self, config: MDConfig, folder: MDFolder, potential: Potential, resumed: bool):
        self.config, self.folder = config, folder
        potential.skin = config.skin
        self.potential = Resumable(potential)
        self._structure: Atoms | None = None
        if resumed:
            restart = Restart.read(folder.restart)
            if restart.step > config.steps:
                raise ConfigError(
                    f"'{folder.path}' has come to step {restart.step:,} already, and steps is {config.steps:,}; give "
                    "as many or more to go on, or name another folder with --out"
                )
            state, self.step, self._marks, memory = self._resumed(restart), restart.step, restart.marks, restart.memory
            restore_counts(potential, memory["guards"])
        else:
            state, self.step, self._marks, memory = self._begun(), 0, {}, {}
        if config.trajectory and config.trajectory.format == "dcd":
            dcd_box(state.systems)  # raises before anything is deleted
        self.dynamics = _dynamics(config, state, self.potential, memory.get("dynamics"))
        self.monitor = Monitor(config.stops, config.timestep_fs, RunningLine(**memory.get("drift", {})))

    def _begun(self) -> State:
        self._structure = atoms = _repeated(self.config.structure.build(), self.config.repeat)
        systems = Systems.from_ase(atoms)
        return begin(systems, self.potential, _momenta(atoms, systems, self.config), atoms.get_masses())

    def _resumed(self, restart: Restart) -> State:
        self.potential.resume(restart.systems, restart.anchor)
        return begin(restart.systems, self.potential, restart.momenta, restart.masses)

    @contextmanager
    def files(self) -> Iterator[None]:
        """While inside, log and trajectory are open. A fresh run records its begin."""
        state, marks = self.dynamics.state, self._marks
        with self.folder.writing():
            self._log = LogWriter(self.folder.log, marks.get("log", 0))
            self._trajectory = _writer(self.config, self.folder, state.systems, marks.get("trajectory", 0))
            try:
                if self._structure is not None:
                    write(self.folder.structure, self._structure, format="extxyz")
                    self._check_and_record()
                    self.save()
                yield
            finally:
                self._log.close()
                if self._trajectory:
                    self._trajectory.close()

    def advance(self) -> None:
        """One step, with all that is due after it."""
        self.dynamics.step()
        self.step += 1
        self._check_and_record()
        if self.step % self.config.restart_interval == 0:
            self.save()

    def _check_and_record(self) -> None:
        state, step, config = self.dynamics.state, self.step, self.config
        self.monitor.check(state, step)
        if step % config.log_interval == 0:
            conserved = self.dynamics.conserved
            drift = self.monitor.drift(state, step, conserved)
            self._log.write(LogLine.of(state, step, config.timestep_fs, conserved, drift))
            self.monitor.check_drift(step)
        if self._trajectory and step % config.trajectory.interval == 0:
            self._trajectory.write(Frame.of(state, step, config.timestep_fs))

    def flush(self) -> dict[str, int]:
        """Put log and trajectory on the disk; how much of each file there is."""
        marks = {"log": self._log.mark()}
        if self._trajectory:
            marks["trajectory"] = self._trajectory.mark()
        return marks

    def save(self) -> None:
        """Write the restart, after all that it counts on."""
        memory = {
            "dynamics": self.dynamics.memory,
            "drift": self.monitor.memory,
            "guards": guard_counts(self.potential.potential),
        }
        marks, anchor = self.flush(), self.potential.anchor
        Restart.of(self.dynamics.state, self.step, anchor=anchor, memory=memory, marks=marks).write(self.folder.restart)


def _repeated(atoms: Atoms, cells: tuple[int, int, int]) -> Atoms:
    """Copies along the cell vectors. Raises HydrasurrError for what a run would not heed."""
    if atoms.constraints:
        kinds = ", ".join(dict.fromkeys(type(constraint).__name__ for constraint in atoms.constraints))
        raise HydrasurrError(
            f"the structure has constraints ({kinds}), but a run moves all atoms; write it without them (in extended "
            "XYZ: without the column move_mask)"
        )
    for count, vector, name in zip(cells, atoms.cell, "abc", strict=True):
        if count > 1 and not vector.any():
            raise ConfigError(f"repeat is {list(cells)}, but the structure has no cell vector {name} to go along")
    return atoms * cells


def _momenta(atoms: Atoms, systems: Systems, config: MDConfig) -> np.ndarray | None:
    masses = atoms.get_masses()
    if config.velocities == "random":
        return maxwell_boltzmann(systems, masses, config.temperature_K, config.seed)
    if config.velocities == "structure" and not atoms.has("momenta"):
        raise HydrasurrError("velocities is 'structure', but the structure brings none; use 'random' or 'zero'")
    return at_rest(atoms.get_momenta(), masses) if config.velocities == "structure" else None


def _dynamics(config: MDConfig, state: State, potential: Resumable, memory: dict[str, Any] | None) -> Dynamics:
    ensemble = config.ensemble
    if ensemble.type == "nve":
        return NVE(state, potential, config.timestep_fs)
    bath = {"timestep_fs": config.timestep_fs, "temperature_K": config.temperature_K, "seed": config.seed}
    if ensemble.type == "nvt_langevin":
        return Langevin(state, potential, **bath, memory=memory, friction_per_ps=ensemble.friction_per_ps)
    return Bussi(state, potential, **bath, memory=memory, time_constant_ps=ensemble.time_constant_ps)


def _writer(config: MDConfig, folder: MDFolder, systems: Systems, keep: int) -> TrajectoryWriter | None:
    if config.trajectory is None:
        return None
    path = folder.trajectory(config.trajectory.format)
    if config.trajectory.format == "dcd":
        return DcdWriter(path, systems, config.timestep_fs, config.trajectory.interval, keep)
    return XyzWriter(path, keep, config.trajectory.velocities, config.trajectory.forces)


def _introduction(config: MDConfig, simulation: Simulation) -> str:
    state, potential = simulation.dynamics.state, simulation.potential.potential
    after = f" from step {simulation.step:,}" if simulation.step else ""
    return (
        f"[bold]{config.name}[/bold]: {state.systems.num_atoms:,} atoms, {type(potential).__name__}, "
        f"{config.ensemble.type}, {config.steps:,} steps of {config.timestep_fs:g} fs{after}"
    )


def _results(simulation: Simulation, folder: MDFolder, ended: str, speed: float) -> Results:
    config, atoms = simulation.config, simulation.dynamics.state.systems.num_atoms
    results = {
        "ended": ended,
        "step": simulation.step,
        "time_ps": simulation.step * config.timestep_fs / 1000,
        "atoms": atoms,
        "ns_per_day": speed,
        **Thermo().compute(read_log(folder.log), atoms).as_dict(),
        "close_pairs": guard_counts(simulation.potential.potential),
    }
    write_text(folder.results, json.dumps(results, indent=2) + "\n")
    return results
