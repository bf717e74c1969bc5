"""Velocities to begin with."""

from __future__ import annotations

import numpy as np
from ase import units

from hydrasurr.graphs.systems import Systems


def maxwell_boltzmann(systems: Systems, masses: np.ndarray, temperature_K: float, seed: int) -> np.ndarray:
    """Momenta drawn at random at a temperature: float64 `[N, 3]`, sqrt(amu eV).

    Each component is normally distributed with variance `m kB T`. Then the total momentum of each system is taken
    out, and the rest scaled so that the temperature, with 3 n - 3 degrees of freedom, is `temperature_K` exactly.
    """
    generator = np.random.default_rng(seed)
    momenta = generator.standard_normal((systems.num_atoms, 3)) * np.sqrt(masses * units.kB * temperature_K)[:, None]
    for start, stop in zip(systems.offset[:-1], systems.offset[1:], strict=True):
        part = slice(start, stop)
        momenta[part] = _scaled(at_rest(momenta[part], masses[part]), masses[part], temperature_K)
    return momenta


def at_rest(momenta: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """The momenta of one system `[N, 3]` without the motion of its centre of mass."""
    return momenta - masses[:, None] * (momenta.sum(0) / masses.sum())


def _scaled(momenta: np.ndarray, masses: np.ndarray, temperature_K: float) -> np.ndarray:
    twice_kinetic = float((momenta**2 / masses[:, None]).sum())
    wanted = (3 * len(masses) - 3) * units.kB * temperature_K
    return momenta * np.sqrt(wanted / twice_kinetic) if len(masses) > 1 and twice_kinetic else np.zeros_like(momenta)
