"""Correctness and speed on an NVIDIA GPU: `benchmarks/gpu.sh`.

Runs from the repository root without RDKit, ADIOS2 and MPI, on a prepared file of real molecules.
"""
