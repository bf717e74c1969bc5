"""A study of liquid argon: how far a pair network, and its weights in fewer bits, stand in for Lennard-Jones."""
