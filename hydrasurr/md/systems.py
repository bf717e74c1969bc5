"""Systems to begin with: liquid argon, crystals, and what a file holds."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.collections import g2
from ase.data import atomic_masses, atomic_numbers, reference_states
from ase.io import read

from hydrasurr.errors import ConfigError, HydrasurrError, did_you_mean
from hydrasurr.graphs.schema import ELEMENTS

ARGON_EPSILON_EV = 120 * units.kB
ARGON_SIGMA = 3.4
ARGON_DENSITY_G_CM3 = 1.374
ARGON_TEMPERATURE_K = 94.4
"""Liquid argon of Rahman, Phys. Rev. 136, A405 (1964): epsilon/kB = 120 K, sigma in Angstrom, 864 atoms."""

NACL_LATTICE_CONSTANT = 5.6402
"""Halite at 26 C, Angstrom: Swanson and Fuyat, NBS Circular 539, Vol. II (1953)."""

LEAST_DISTANCE = 0.8
"""Random atoms are put no nearer to each other than this part of the mean distance, the cube root of V / N."""


def liquid_argon(
    atoms: int = 864, density_g_cm3: float = ARGON_DENSITY_G_CM3, arrangement: str = "lattice", seed: int = 0
) -> Atoms:
    """Argon in a periodic cube at a density, to be melted; by default that of Rahman (1964).

    Parameters
    ----------
    arrangement : "lattice": an fcc lattice of `a x b x c` cells of four sites with a, b, c as equal as possible, in
        the cube (stretched by a few per cent where they differ), of which sites chosen at random stay empty if there
        are more sites than atoms. 864 = 4 x 6^3 atoms fill one; 6,078 leave 258 of 4 x 12 x 12 x 11 sites empty.
        "random": at random, yet no two nearer than LEAST_DISTANCE allows
    seed : of the choice of sites or places

    Raises ConfigError for an unknown arrangement, or no atoms.
    """
    if atoms < 1 or density_g_cm3 <= 0:
        raise ConfigError(f"{atoms} atoms at {density_g_cm3} g/cm3: both must be above 0")
    mass_g = atomic_masses[18] * atoms * units._amu * 1000
    edge = (mass_g / density_g_cm3) ** (1 / 3) * 1e8
    generator = np.random.default_rng(seed)
    if arrangement == "lattice":
        positions = _fcc_sites(atoms, generator) * edge
    elif arrangement == "random":
        positions = _apart(atoms, edge, LEAST_DISTANCE * edge / atoms ** (1 / 3), generator)
    else:
        raise ConfigError(f"no arrangement '{arrangement}'{did_you_mean(arrangement, ['lattice', 'random'])}")
    return Atoms(f"Ar{atoms}", positions, cell=[edge] * 3, pbc=True)


def fcc(element: str, lattice_constant: float | None = None, cells: tuple[int, int, int] = (1, 1, 1)) -> Atoms:
    """A face-centred cubic crystal of cubic cells of four atoms.

    `lattice_constant` in Angstrom; without one, that of the element in `ase.data.reference_states`. Raises
    ConfigError if there is none.
    """
    known = reference_states[_number(element)] or {}
    if lattice_constant is None and known.get("symmetry") != "fcc":
        raise ConfigError(f"{element} has no fcc lattice constant of its own; give one, in Angstrom")
    return bulk(element, "fcc", a=lattice_constant or known["a"], cubic=True) * cells


def rocksalt(
    cation: str = "Na",
    anion: str = "Cl",
    lattice_constant: float = NACL_LATTICE_CONSTANT,
    cells: tuple[int, int, int] = (1, 1, 1),
) -> Atoms:
    """A crystal of the structure of NaCl, of cubic cells of eight atoms; by default halite at 26 C."""
    _number(cation), _number(anion)
    return bulk(cation + anion, "rocksalt", a=lattice_constant, cubic=True) * cells


def small_molecule(name: str) -> Atoms:
    """A molecule of the G2 set as `ase.build` has it, in its equilibrium. Raises ConfigError if there is none."""
    if name not in g2.names:
        raise ConfigError(f"no molecule '{name}' in ase.build{did_you_mean(name, g2.names)}")
    return molecule(name)


def read_structure(path: str | Path, index: int = -1) -> Atoms:
    """One structure of a file that ASE reads, the last one by default. Raises HydrasurrError if that fails."""
    try:
        return read(path, index)
    except FileNotFoundError:
        raise HydrasurrError(f"no structure file '{path}'") from None
    except (IndexError, StopIteration):
        raise HydrasurrError(f"'{path}' holds no structure number {index}") from None
    except Exception as error:  # ASE's readers raise whatever a malformed line leads to
        raise HydrasurrError(f"ASE cannot read a structure from '{path}': {type(error).__name__}: {error}") from error


def _number(element: str) -> int:
    if element not in atomic_numbers or element == "X":
        raise ConfigError(f"no element '{element}'{did_you_mean(element, ELEMENTS[1:])}")
    return atomic_numbers[element]


def _fcc_sites(atoms: int, generator: np.random.Generator) -> np.ndarray:
    """`atoms` sites of an fcc lattice in the unit cube."""
    cells = _cells(math.ceil(atoms / 4))
    corners = np.stack(np.meshgrid(*map(np.arange, cells), indexing="ij"), -1).reshape(-1, 1, 3)
    basis = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    sites = ((corners + basis + 0.25) / cells).reshape(-1, 3)
    return sites[np.sort(generator.permutation(len(sites))[:atoms])]


def _cells(least: int) -> tuple[int, int, int]:
    """Three numbers, no two more than 1 apart, with the least product that is `least` or more."""
    edge = max(round(least ** (1 / 3)) - 1, 1)
    while (edge + 1) ** 3 < least:
        edge += 1
    longer = next(k for k in range(4) if edge ** (3 - k) * (edge + 1) ** k >= least)
    return tuple(edge + (axis < longer) for axis in range(3))


def _apart(atoms: int, edge: float, least: float, generator: np.random.Generator) -> np.ndarray:
    """Points in a periodic cube, each put at random until it has no other nearer than `least`: float64 `[N, 3]`."""
    points = np.empty((atoms, 3))
    for count in range(atoms):
        for _ in range(10_000):
            point = generator.random(3) * edge
            apart = points[:count] - point
            apart -= edge * np.round(apart / edge)
            if count == 0 or (apart**2).sum(1).min() >= least**2:
                break
        else:
            raise ConfigError(f"found no room for atom {count + 1} of {atoms} at random; use the arrangement 'lattice'")
        points[count] = point
    return points
