"""A pair potential as a table of LAMMPS, which then needs no Python: argon at constant energy."""

from hydrasurr.surrogate.adapters.lammps_library import start_lammps
from hydrasurr.surrogate.adapters.lammps_table import write_table
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
thermo_style custom step temp pe etotal press
fix dynamics all nve
"""

lines = write_table("argon.table", LennardJones(epsilon=0.0103, sigma=3.405, cutoff=8.5), ["Ar"])
lmp = start_lammps("-log", "none")
lmp.commands_string(ARGON + lines)
lmp.command("run 100")
lmp.close()
print("\nThese lines go into any LAMMPS input:\n" + lines)
