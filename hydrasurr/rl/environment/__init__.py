"""Molecules that are built step by step, many at a time, as arrays."""
