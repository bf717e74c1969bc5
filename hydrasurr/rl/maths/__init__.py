"""The arithmetic of reinforcement learning, as functions of arrays."""
