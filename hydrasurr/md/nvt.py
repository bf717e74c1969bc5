"""Constant temperature (NVT), by the thermostats of ASE."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.constraints import FixCom
from ase.md.bussi import Bussi as AseBussi
from ase.md.langevin import Langevin as AseLangevin
from ase.md.md import MolecularDynamics

from hydrasurr.errors import ConfigError
from hydrasurr.md.dynamics import Dynamics
from hydrasurr.md.resumable import Resumable
from hydrasurr.md.state import State
from hydrasurr.surrogate.adapters.ase import HydrasurrCalculator


class Thermostat(Dynamics):
    """Runs an integrator of ASE with the centre of mass fixed, which leaves 3 n - 3 degrees of freedom.

    Parameters
    ----------
    state : one system
    potential : wrapped, so that a run can resume
    timestep_fs : fs
    temperature_K : of the heat bath, K
    seed : of the random numbers
    memory : that of the run to resume; then `seed` does not matter
    """

    def __init__(
        self,
        state: State,
        potential: Resumable,
        timestep_fs: float,
        temperature_K: float,
        seed: int,
        memory: dict[str, Any] | None = None,
    ):
        systems = state.systems
        self.state, self.potential, self.temperature_K = state, potential, temperature_K
        self.timestep_fs = timestep_fs
        self._generator = np.random.default_rng(seed)
        if memory:
            self._generator.bit_generator.state = memory["generator"]
        self._atoms = Atoms(systems.numbers, systems.positions, cell=systems.cell[0], pbc=systems.pbc[0])
        self._atoms.set_masses(state.masses)
        self._atoms.set_momenta(state.momenta)
        self._atoms.set_constraint(FixCom())
        self._atoms.calc = HydrasurrCalculator(potential)
        self._dynamics = self._integrator()

    @abstractmethod
    def _integrator(self) -> MolecularDynamics:
        """The integrator of ASE for `self._atoms`."""

    def step(self) -> None:
        self._dynamics.step(self.state.result.forces)
        systems = replace(self.state.systems, positions=self._atoms.get_positions())
        self.state = State(systems, self.state.masses, self._atoms.get_momenta(), self.potential.last)

    @property
    def memory(self) -> dict[str, Any]:
        return {"generator": self._generator.bit_generator.state}


class Langevin(Thermostat):
    """Friction and random kicks on every atom (Vanden-Eijnden and Ciccotti, Chem. Phys. Lett. 429, 310, 2006, eq. 23).

    Strong, local, and good at reaching equilibrium; it slows diffusion down. No energy is conserved.
    """

    def __init__(self, *arguments: Any, friction_per_ps: float, **named: Any):
        self.friction_per_ps = friction_per_ps
        super().__init__(*arguments, **named)

    def _integrator(self) -> AseLangevin:
        return AseLangevin(
            self._atoms,
            self.timestep_fs * units.fs,
            temperature_K=self.temperature_K,
            friction=self.friction_per_ps / (1000 * units.fs),
            fixcm=False,  # FixCom does it
            rng=self._generator,
        )

    @property
    def conserved(self) -> None:
        return None


class Bussi(Thermostat):
    """Stochastic velocity rescaling, CSVR (Bussi, Donadio and Parrinello, J. Chem. Phys. 126, 014101, 2007).

    All velocities are scaled by one random factor, so paths, and diffusion with them, are hardly disturbed. What is
    conserved is the total energy less what the thermostat has put in.
    """

    def __init__(self, *arguments: Any, time_constant_ps: float, memory: dict[str, Any] | None = None, **named: Any):
        self.time_constant_ps = time_constant_ps
        super().__init__(*arguments, memory=memory, **named)
        if memory:
            self._dynamics.transferred_energy = memory["transferred_eV"]

    def _integrator(self) -> AseBussi:
        if not self.state.kinetic_energy[0]:
            raise ConfigError(
                "velocity rescaling cannot warm atoms at rest: begin with velocities, or use the ensemble nvt_langevin"
            )
        return AseBussi(
            self._atoms,
            self.timestep_fs * units.fs,
            temperature_K=self.temperature_K,
            taut=self.time_constant_ps * 1000 * units.fs,
            rng=self._generator,
        )

    @property
    def memory(self) -> dict[str, Any]:
        return {**super().memory, "transferred_eV": self._dynamics.transferred_energy}

    @property
    def conserved(self) -> float:
        return float(self.state.total_energy[0] - self._dynamics.transferred_energy)
