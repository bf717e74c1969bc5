"""Each file runs as it is, `python FILE.py`, and shows one way to use a potential from another code.

All simulate solid argon by Lennard-Jones; any other potential takes its place.
"""
