"""A pair network in LAMMPS by a pair style in C++: argon at constant energy, after a fit of seconds (too short for more
than a demonstration)."""

from ase.build import bulk

from hydrasurr.graphs.systems import Systems, join
from hydrasurr.surrogate.adapters.lammps_library import start_lammps
from hydrasurr.surrogate.adapters.lammps_plugin import build, load_plugin
from hydrasurr.surrogate.adapters.lammps_plugin_file import write_plugin_file
from hydrasurr.surrogate.potentials.lennard_jones import LennardJones
from hydrasurr.training.pair_fit import PairFitConfig, fit_pair

ARGON = """
units metal
lattice fcc 5.26
region box block 0 4 0 4 0 4
create_box 1 box
create_atoms 1 box
mass 1 39.948
velocity all create 80 4928459
timestep 0.002
thermo 20
thermo_style custom step temp pe etotal press
fix dynamics all nve
"""

frames = [bulk("Ar", cubic=True) * (4, 4, 4) for _ in range(10)]
for seed, atoms in enumerate(frames):
    atoms.rattle(0.2, seed=seed)
systems = join([Systems.from_ase(atoms) for atoms in frames])
reference = LennardJones(epsilon=0.0103, sigma=3.405, cutoff=8.5).evaluate(systems)
fit = fit_pair(systems, reference.forces, PairFitConfig(steps=300, switch=1.0))
lines = write_plugin_file(fit.network, "argon.mlp")
build()  # compiles once for this machine: `hydrasurr lammps build`
lmp = start_lammps("-log", "none")
load_plugin(lmp)
lmp.commands_string(ARGON + lines)
lmp.command("run 100")
lmp.close()
print(f"\nforces within {100 * fit.relative_rmse:.1f} %. These lines go into any LAMMPS input:\n" + lines)
