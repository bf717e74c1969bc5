"""Two programs that move one system for some picoseconds: LAMMPS, and the integrators here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Literal

import numpy as np
from ase import units

from hydrasurr.errors import HydrasurrError
from hydrasurr.graphs.systems import Systems
from hydrasurr.md.dynamics import NVE, Dynamics
from hydrasurr.md.frame import Frame
from hydrasurr.md.nvt import Bussi
from hydrasurr.md.resumable import Resumable
from hydrasurr.md.state import State, begin
from hydrasurr.surrogate.adapters.lammps_library import start_lammps
from hydrasurr.surrogate.potentials.contract import Potential

Choice = Literal["auto", "lammps", "own"]
THERMOSTAT_PS = 0.1
FIELDS = "c_unwrapped", "v", "f"
AT_ONCE = 100
"""Steps that LAMMPS makes between two moments at which Ctrl-C is heard."""


def choose_engine(engine: Choice = "auto") -> Literal["lammps", "own"]:
    """ "auto" becomes "lammps" where that can be started, and "own" elsewhere."""
    if engine != "auto":
        return engine
    try:
        start_lammps().close()
    except HydrasurrError:
        return "own"
    return "lammps"


class Engine(ABC):
    """Moves one system, at first at constant energy; use it in a `with` statement."""

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 - an engine may hold nothing
        """Give back what the engine holds."""

    @abstractmethod
    def heat_bath(self, temperature_K: float | None, seed: int = 0) -> None:
        """Go on at this temperature by stochastic velocity rescaling; None: at constant energy."""

    @abstractmethod
    def run(self, steps: int) -> None:
        """Go on by so many steps. Raises HydrasurrError if the system falls apart."""

    @abstractmethod
    def frame(self, step: int) -> Frame:
        """The system as it is, with velocities, forces, energy and stress, called `step`."""


class OwnEngine(Engine):
    """The integrators of hydrasurr.md.

    Parameters
    ----------
    state : what to begin with
    potential : its skin counts; nothing else may use it meanwhile
    timestep_fs : fs
    """

    def __init__(self, state: State, potential: Potential, timestep_fs: float):
        self._potential, self._timestep_fs = Resumable(potential), timestep_fs
        state = begin(state.systems, self._potential, state.momenta, state.masses)
        self._dynamics: Dynamics = NVE(state, self._potential, timestep_fs)

    def heat_bath(self, temperature_K: float | None, seed: int = 0) -> None:
        state, potential, dt = self._dynamics.state, self._potential, self._timestep_fs
        if temperature_K is None:
            self._dynamics = NVE(state, potential, dt)
        else:
            self._dynamics = Bussi(state, potential, dt, temperature_K, seed, time_constant_ps=THERMOSTAT_PS)

    def run(self, steps: int) -> None:
        self._in_one_piece()
        for _ in range(steps):
            self._dynamics.step()
            self._in_one_piece()

    def frame(self, step: int) -> Frame:
        return Frame.of(self._dynamics.state, step, self._timestep_fs)

    def _in_one_piece(self) -> None:
        if not np.isfinite(self._dynamics.state.result.energy).all():
            raise HydrasurrError("the energy is no number any more: the system has fallen apart")


class LammpsEngine(Engine):
    """LAMMPS on one core, with a system in a box with right angles.

    Parameters
    ----------
    state : what to begin with
    style : lines of LAMMPS input that give the forces, in metal units; the types of atoms are the elements in
        ascending order, from 1
    timestep_fs : fs
    skin : of the neighbour list, Angstrom
    charges : by atomic number, e; where the lines need them

    Raises HydrasurrError if LAMMPS is missing, or does not accept the lines.
    """

    def __init__(
        self,
        state: State,
        style: str,
        timestep_fs: float,
        skin: float = 1.0,
        charges: Mapping[int, float] | None = None,
    ):
        self._lmp, self._timestep_fs, self._under_way = start_lammps(), timestep_fs, False
        self._systems = systems = state.systems
        edges = np.diag(systems.cell[0])
        if not np.array_equal(systems.cell[0], np.diag(edges)):
            raise HydrasurrError("this needs a system in a box with right angles")
        elements, first, types = np.unique(systems.numbers, return_index=True, return_inverse=True)
        masses = enumerate(state.masses[first], start=1)
        self._commands(
            "units metal",
            f"atom_style {'charge' if charges else 'atomic'}",
            "atom_modify map yes",
            # On one thread already faster; more of them are left to the user's own LAMMPS scripts.
            *(("package omp 1", "suffix omp") if self._lmp.has_package("OPENMP") else ()),
            "region box block " + " ".join(f"0 {edge:.17g}" for edge in edges),
            f"create_box {len(elements)} box",
            *(f"mass {kind} {mass:.17g}" for kind, mass in masses),
            *self._safe(style.splitlines()),
            f"neighbor {skin:.17g} bin",
            f"timestep {timestep_fs / 1000:.17g}",
        )
        inside, velocities = systems.positions % edges, state.velocities * 1000
        self._outside = systems.positions - inside  # LAMMPS puts atoms into the box and forgets where they were
        count, flat = systems.num_atoms, [array.ravel().tolist() for array in (inside, velocities)]
        self._lmp.create_atoms(count, list(range(1, count + 1)), (types + 1).tolist(), *flat)
        self._commands(
            *(f"set type {k} charge {charges[z]}" for k, z in enumerate(elements.tolist(), start=1) if charges),
            "fix move all nve",
            "compute unwrapped all property/atom xu yu zu",
            "compute virial all pressure NULL virial",
            "thermo_style custom step pe " + " ".join(f"c_virial[{k}]" for k in range(1, 7)),
            "thermo 0",
            "run 0",
        )

    def close(self) -> None:
        self._lmp.close()

    def heat_bath(self, temperature_K: float | None, seed: int = 0) -> None:
        if self._lmp.has_id("fix", "bath"):
            self._commands("unfix bath")
        if temperature_K is not None:
            self._commands(f"fix bath all temp/csvr {temperature_K} {temperature_K} {THERMOSTAT_PS} {seed + 1}")
        self._under_way = False

    def run(self, steps: int) -> None:
        for done in range(0, max(steps, 1), AT_ONCE):
            # Setting up anew is needed once after a change only.
            self._commands(f"run {min(steps - done, AT_ONCE)} {'pre no ' if self._under_way else ''}post no")
            self._under_way = True

    def timed(self, steps: int) -> dict[str, float]:
        """Go on by so many steps; seconds spent in each part, by LAMMPS' names ("Pair", "Kspace", "Neigh", ...)."""
        with TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            self._commands(f'log "{log}"', f"run {steps}", "log none")
            rows = [line.split("|") for line in log.read_text().splitlines() if line.count("|") == 5]
        self._under_way = False
        # Columns: name, least, mean and most of all ranks, which are one here; "Other" has a mean only.
        return {row[0].strip(): float(row[2]) for row in rows if row[0].strip() != "Section"}

    def frame(self, step: int) -> Frame:
        xx, yy, zz, xy, xz, yz = self._lmp.numpy.extract_compute("virial", 0, 1)[:6]
        pressure = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        positions, velocities, forces = (np.array(self._lmp.gather(name, 1, 3)).reshape(-1, 3) for name in FIELDS)
        return Frame(
            step,
            step * self._timestep_fs / 1000,
            Systems.single(self._systems.numbers, positions + self._outside, self._systems.cell[0], True),
            velocities / 1000,
            forces,
            self._lmp.get_thermo("pe"),
            -pressure * units.bar,
        )

    def _safe(self, lines: list[str]) -> list[str]:
        """Lines of a style, with tables not of the package OPENMP: where atoms come too close for a table, table/omp
        raises its error in a parallel region, which ends this process."""
        if not self._lmp.has_package("OPENMP") or not any(
            line.startswith("pair_style") and "table" in line for line in lines
        ):
            return lines
        kspace = [line for line in lines if line.startswith("kspace")]
        return ["suffix off", *(line for line in lines if line not in kspace), "suffix on", *kspace]

    def _commands(self, *lines: str) -> None:
        try:
            self._lmp.commands_list(list(lines))
        except Exception as error:  # LAMMPS raises these, and the system is as good as lost
            raise HydrasurrError(f"LAMMPS stopped: {' '.join(str(error).split())}") from error
