"""The closed loop: an agent proposes, an oracle labels, a surrogate learns from it, and the agent goes on."""
