"""Molecular design by reinforcement learning: environments, rewards, agents."""
