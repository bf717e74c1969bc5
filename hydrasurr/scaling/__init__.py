"""How a run scales: measured on the ranks at hand, forecast for more.

Equation numbers in this room are those of Zielinski 2025, "Accelerating Quantum Chemistry Simulations Using
GPU-Optimized Deep Reinforcement Learning Algorithms". The breakdown of a step is that of Fig. 5 of Choi et al. 2022,
"Scalable training of graph convolutional neural networks for fast and accurate predictions of HOMO-LUMO gap in
molecules".
"""
