"""The agent's network: molecule in, a number for each allowed action and one for the molecule out."""
