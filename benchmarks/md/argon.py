"""Liquid argon and the pair network of its forces."""

from __future__ import annotations

import numpy as np
from ase.data import atomic_masses

from benchmarks.molecules import Setting
from hydrasurr.graphs.systems import Systems, join
from hydrasurr.md.reference import ArgonReference
from hydrasurr.md.state import State, begin
from hydrasurr.md.velocities import maxwell_boltzmann
from hydrasurr.models.pair_mlp import PairMLP, load_pair, save_pair
from hydrasurr.surrogate.adapters.lammps_library import start_lammps
from hydrasurr.surrogate.adapters.lammps_plugin import build, load_plugin
from hydrasurr.surrogate.potentials.contract import Potential
from hydrasurr.surrogate.potentials.lennard_jones import LennardJones
from hydrasurr.training.pair_fit import PairFitConfig, fit_pair

CUTOFF, SKIN = 8.5, 1.0


def lennard_jones() -> LennardJones:
    """The reference potential, with the skin of all measurements."""
    potential = ArgonReference().potential
    potential.skin = SKIN
    return potential


def liquid(setting: Setting, atoms: int) -> Systems:
    """A configuration after some picoseconds at 100 K; kept in the cache."""
    path = setting.cache / f"argon_{atoms}.npz"
    if not path.exists():
        reference = ArgonReference(atoms=atoms, equilibration_ps=setting.size(5, 1))
        (frame,) = reference.frames(1)
        setting.cache.mkdir(parents=True, exist_ok=True)
        np.savez(path, positions=frame.systems.positions, cell=frame.systems.cell[0])
    with np.load(path) as saved:
        return Systems.single(np.full(atoms, 18), saved["positions"], saved["cell"], True)


def network(setting: Setting) -> PairMLP:
    """A network fitted to frames of 500 or 864 atoms; kept in the cache."""
    path = setting.cache / "argon_pair.safetensors"
    if not path.exists():
        reference = ArgonReference(atoms=setting.size(864, 500), equilibration_ps=setting.size(10, 1))
        frames = list(reference.frames(setting.size(20, 3), interval_ps=setting.size(2, 1)))
        forces = np.concatenate([frame.forces for frame in frames])
        fit = fit_pair(join([frame.systems for frame in frames]), forces, PairFitConfig(steps=setting.size(3000, 50)))
        setting.cache.mkdir(parents=True, exist_ok=True)
        save_pair(path, fit.network)
    return load_pair(path)


def at_100_kelvin(systems: Systems, potential: Potential) -> State:
    """A state with random velocities."""
    momenta = maxwell_boltzmann(systems, begin(systems, potential).masses, 100, seed=0)
    return begin(systems, potential, momenta)


class InLammps:
    """The same atoms in LAMMPS, ready to run at constant energy; `style` are the lines of its pair style."""

    def __init__(self, systems: Systems, style: str, plugin: bool = False):
        self.lmp = start_lammps()
        if plugin:
            load_plugin(self.lmp, build())
        edge = systems.cell[0, 0, 0]
        self.lmp.commands_string(f"""
            units metal
            region box block 0 {edge} 0 {edge} 0 {edge}
            create_box 1 box
            mass 1 {atomic_masses[18]}
        """)
        count = systems.num_atoms
        positions = np.ascontiguousarray(systems.positions % edge).ravel().tolist()
        self.lmp.create_atoms(count, None, [1] * count, positions)
        self.lmp.commands_string(style)
        self.lmp.commands_string(f"""
            neighbor {SKIN} bin
            neigh_modify delay 0 every 1 check yes
            velocity all create 100 4928459
            timestep 0.002
            fix dynamics all nve
            thermo_modify lost error
            run 0
        """)

    def run(self, steps: int) -> int:
        """Go on by `steps`; returns them."""
        self.lmp.command(f"run {steps} pre no post no")
        return steps
