"""Atoms in space -> data sets of graphs."""
