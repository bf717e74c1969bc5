"""Molecular dynamics in ASE: argon at constant energy, 100 steps of 2 fs."""

from ase.build import bulk
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from ase.units import fs

from hydrasurr.surrogate.adapters.ase import HydrasurrCalculator
from hydrasurr.surrogate.potentials.lennard_jones import LennardJones

atoms = bulk("Ar", cubic=True) * (4, 4, 4)
atoms.calc = HydrasurrCalculator(LennardJones(epsilon=0.0103, sigma=3.405, cutoff=8.5), skin=1.0)
MaxwellBoltzmannDistribution(atoms, temperature_K=80)
dynamics = VelocityVerlet(atoms, timestep=2 * fs)
dynamics.attach(lambda: print(f"step {dynamics.nsteps:3d}: {atoms.get_total_energy():.6f} eV"), interval=20)
dynamics.run(100)
print("stress (xx, yy, zz, yz, xz, xy):", atoms.get_stress(), "eV/A^3")
