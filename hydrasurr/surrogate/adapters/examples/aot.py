"""A graph neural network compiled ahead of time: native code, several times faster than PyTorch step by step.

`hydrasurr export RUN_DIR --aot FOLDER` does the same for a trained force field; here an untrained one stands for it.
"""

from ase.build import molecule

from hydrasurr.models.force_field.config import ForceFieldConfig
from hydrasurr.models.force_field.network import ForceField
from hydrasurr.surrogate.adapters.aot import AOTPotential, export

network = ForceField(ForceFieldConfig(representation="schnet", width=16, layers=1), elements=[1, 6, 8])
manifest = export(network, "schnet.aot")
potential = AOTPotential.load("schnet.aot")
ethanol = molecule("CH3CH2OH")
energy, forces, virial = potential(ethanol.numbers, ethanol.positions)
print(f"energy {energy:.6f} eV, largest force {abs(forces).max():.6f} eV/A")
print(f"differs from PyTorch by at most {manifest.largest_difference:.1e} eV/A")
