"""Molecular dynamics with any potential: systems, integrators, runs with restarts, trajectories, analysis."""
