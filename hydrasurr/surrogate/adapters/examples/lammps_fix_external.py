"""LAMMPS calls a potential at each step: argon at constant pressure."""

from hydrasurr.surrogate.adapters.lammps_external import attach
from hydrasurr.surrogate.adapters.lammps_library import start_lammps
from hydrasurr.surrogate.potentials.lennard_jones import LennardJones

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
thermo_style custom step temp pe etotal press vol
fix dynamics all npt temp 80 80 0.2 iso 0 0 2
"""

lmp = start_lammps("-log", "none")
lmp.commands_string(ARGON)
potential = LennardJones(epsilon=0.0103, sigma=3.405, cutoff=8.5)
potential.skin = 1.0
attach(lmp, potential, ["Ar"])
lmp.command("run 100")
lmp.close()
