"""The surrogate inside other codes: ASE, LAMMPS, OpenMM."""
