"""Graph neural networks as force fields: from an AtomsBatch to energies, forces and virials.

`config.ForceFieldConfig` says which one, `network.ForceField` is it. A representation (SchNet, PaiNN, ...) is a file
with its options and its message passing.
"""
