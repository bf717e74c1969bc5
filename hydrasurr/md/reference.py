"""Reference trajectories of liquid argon: Lennard-Jones in LAMMPS, or here where LAMMPS is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from hydrasurr.errors import ConfigError
from hydrasurr.graphs.systems import Systems
from hydrasurr.md.engines import Choice, Engine, LammpsEngine, OwnEngine, choose_engine
from hydrasurr.md.frame import Frame
from hydrasurr.md.state import begin
from hydrasurr.md.systems import ARGON_DENSITY_G_CM3, ARGON_EPSILON_EV, ARGON_SIGMA, liquid_argon
from hydrasurr.md.velocities import maxwell_boltzmann
from hydrasurr.surrogate.potentials.lennard_jones import LennardJones


@dataclass(frozen=True)
class ArgonReference:
    """Liquid argon, from a lattice through equilibration at a temperature to a run that is recorded.

    Both engines begin with the same positions and velocities, and use the same truncated and shifted potential and
    the same thermostat, stochastic velocity rescaling; their paths differ after a few ps, as chaos has it.

    Attributes
    ----------
    atoms, density_g_cm3 : see hydrasurr.md.systems.liquid_argon
    temperature_K : of the equilibration, and of the whole run with the ensemble "nvt"
    ensemble : of the recorded run; with "nve" its temperature is close to temperature_K, by chance
    epsilon, sigma, cutoff : of the potential; eV and Angstrom
    skin : of the neighbour list, Angstrom
    """

    atoms: int = 864
    temperature_K: float = 100.0
    density_g_cm3: float = ARGON_DENSITY_G_CM3
    timestep_fs: float = 1.0
    equilibration_ps: float = 20.0
    ensemble: Literal["nve", "nvt"] = "nve"
    epsilon: float = ARGON_EPSILON_EV
    sigma: float = ARGON_SIGMA
    cutoff: float = 8.5
    skin: float = 1.0
    seed: int = 0

    def frames(self, count: int, interval_ps: float = 10.0, engine: Choice = "auto") -> Iterator[Frame]:
        """`count` frames, `interval_ps` apart, with velocities, forces, energy and stress; the first follows the
        equilibration.

        `engine` "auto" takes LAMMPS if it can be started. Raises HydrasurrError for "lammps" if it cannot.
        """
        interval = self._steps(interval_ps)
        if count < 1 or interval < 1:
            raise ConfigError(f"{count} frames every {interval_ps:g} ps: expected one or more, a step apart")
        return self._record(self.engine(engine), count, interval)

    @staticmethod
    def engine(engine: Choice = "auto") -> Literal["lammps", "own"]:
        """Which engine `frames` would take."""
        return choose_engine(engine)

    @property
    def potential(self) -> LennardJones:
        """The same potential here."""
        return LennardJones(self.epsilon, self.sigma, self.cutoff)

    @property
    def lammps_style(self) -> str:
        """The same potential in LAMMPS."""
        return (
            f"pair_style lj/cut {self.cutoff:.17g}\n"
            f"pair_coeff 1 1 {self.epsilon:.17g} {self.sigma:.17g}\n"
            "pair_modify shift yes\n"
        )

    def _record(self, engine: Literal["lammps", "own"], count: int, interval: int) -> Iterator[Frame]:
        with self._start(engine) as run:
            run.heat_bath(self.temperature_K, self.seed)
            run.run(self._steps(self.equilibration_ps))
            if self.ensemble == "nve":
                run.heat_bath(None)
            for index in range(count):
                run.run(interval if index else 0)
                yield run.frame(index * interval)

    def _start(self, engine: Literal["lammps", "own"]) -> Engine:
        potential = self.potential
        atoms = liquid_argon(self.atoms, self.density_g_cm3, seed=self.seed)
        systems, masses = Systems.from_ase(atoms), atoms.get_masses()
        momenta = maxwell_boltzmann(systems, masses, self.temperature_K, self.seed)
        state = begin(systems, potential, momenta, masses)
        if engine == "lammps":
            return LammpsEngine(state, self.lammps_style, self.timestep_fs, self.skin)
        potential.skin = self.skin
        return OwnEngine(state, potential, self.timestep_fs)

    def _steps(self, picoseconds: float) -> int:
        return round(picoseconds * 1000 / self.timestep_fs)
