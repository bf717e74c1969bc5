"""Energies, forces and virials: one contract, and what implements it."""
