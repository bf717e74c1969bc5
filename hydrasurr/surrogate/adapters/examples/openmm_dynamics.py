"""Molecular dynamics in OpenMM: argon under a Langevin thermostat."""

import openmm
from ase.build import bulk
from openmm import unit

from hydrasurr.surrogate.adapters.openmm import python_force
from hydrasurr.surrogate.potentials.lennard_jones import LennardJones

atoms = bulk("Ar", cubic=True) * (4, 4, 4)
potential = LennardJones(epsilon=0.0103, sigma=3.405, cutoff=8.5)
potential.skin = 1.0

system = openmm.System()
for mass in atoms.get_masses():
    system.addParticle(mass)
system.setDefaultPeriodicBoxVectors(*(atoms.cell.array * unit.angstrom))
system.addForce(python_force(potential, atoms.numbers))

integrator = openmm.LangevinMiddleIntegrator(80 * unit.kelvin, 1 / unit.picosecond, 2 * unit.femtosecond)
context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("CPU"))
context.setPositions(atoms.positions * unit.angstrom)
context.setVelocitiesToTemperature(80 * unit.kelvin)
for _ in range(5):
    integrator.step(20)
    print("energy", context.getState(energy=True).getPotentialEnergy())
