"""Small argon systems for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from hydrasurr.graphs.systems import Systems
from hydrasurr.md.state import State, begin
from hydrasurr.md.systems import ARGON_EPSILON_EV, ARGON_SIGMA, liquid_argon
from hydrasurr.md.velocities import maxwell_boltzmann
from hydrasurr.surrogate.potentials.contract import Evaluation, Potential
from hydrasurr.surrogate.potentials.lennard_jones import LennardJones


def lennard_jones(cutoff: float = 6.0, skin: float = 0.0) -> LennardJones:
    """Argon. The cutoff of tests is short, so that small cells hold it twice."""
    potential = LennardJones(ARGON_EPSILON_EV, ARGON_SIGMA, cutoff)
    potential.skin = skin
    return potential


def argon_state(potential: Potential, atoms: int = 108, temperature_K: float = 120.0, seed: int = 0) -> State:
    """Argon on a lattice with random velocities."""
    systems = Systems.from_ase(liquid_argon(atoms))
    masses = np.full(atoms, 39.948)
    return begin(systems, potential, maxwell_boltzmann(systems, masses, temperature_K, seed), masses)


def run_section(**keys: Any) -> dict[str, Any]:
    """The configuration of a short run of 108 argon atoms; `keys` override."""
    return {
        "name": "tiny",
        "structure": {"type": "argon_liquid", "atoms": 108},
        "potential": {"type": "lennard_jones", "epsilon": ARGON_EPSILON_EV, "sigma": ARGON_SIGMA, "cutoff": 6.0},
        "temperature_K": 120.0,
        "timestep_fs": 2.0,
        "steps": 60,
        "trajectory": {"interval": 20},
        "restart_interval": 25,
        **keys,
    }


class Springs(Potential):
    """`k/2 |x - x0|^2` for each atom, bound to where it was at first; with k = 0 an ideal gas."""

    cutoff = 1.0

    def __init__(self, places: np.ndarray, stiffness: float):
        self.places, self.stiffness = places.copy(), stiffness

    def evaluate(self, systems: Systems) -> Evaluation:
        away = systems.positions - self.places
        energy = self.stiffness / 2 * (away**2).sum()
        return Evaluation(np.array([energy]), -self.stiffness * away, np.zeros((1, 3, 3)))

    def compute(self, systems: Systems, pairs: object) -> Evaluation:
        return self.evaluate(systems)
