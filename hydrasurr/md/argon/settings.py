"""What a study of liquid argon does, as one strict configuration."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from ase import units
from ase.data import atomic_masses
from pydantic import Field, model_validator

from hydrasurr.md.reference import ArgonReference
from hydrasurr.md.study.settings import Format, load_settings
from hydrasurr.md.systems import ARGON_DENSITY_G_CM3, ARGON_EPSILON_EV, ARGON_SIGMA
from hydrasurr.strict import Strict
from hydrasurr.training.pair_fit import PairFitConfig

Factor = Annotated[int, Field(ge=1, le=1000)]


class ReferenceSettings(Strict):
    """The trajectory that gives the forces to learn: constant energy, after an equilibration at the temperature."""

    equilibration_ps: float = Field(20, ge=0)
    frames: int = Field(16, ge=2)
    interval_ps: float = Field(10, gt=0)
    """From one frame to the next."""


class DynamicsSettings(Strict):
    """The runs that each format is judged by, all from the same positions and velocities."""

    equilibration_ps: float = Field(5, ge=0)
    length_ps: float = Field(25, gt=0)
    """At constant temperature, for g(r), energy, pressure and diffusion."""
    interval_ps: float = Field(0.1, gt=0)
    """From one recorded frame to the next."""
    nve_ps: float = Field(5, gt=0)
    """At constant energy afterwards, for the drift."""
    rollout_ps: float = Field(0.25, gt=0)
    """By the network itself and by its table side by side, at constant energy."""
    r_max: float = Field(12.0, gt=0)
    """g(r) goes up to there, Angstrom."""

    @model_validator(mode="after")
    def _enough_frames(self) -> DynamicsSettings:
        if self.length_ps < 30 * self.interval_ps:
            raise ValueError(f"length_ps {self.length_ps:g} must be 30 times interval_ps {self.interval_ps:g} or more")
        return self


class ScalingSettings(Strict):
    """Times of force evaluation and neighbour search over system size."""

    factors: tuple[Factor, ...] = Field((1, 2, 4, 8, 10), min_length=1)
    """Sizes in that of the study: so many copies of its box side by side."""
    formats: tuple[Format, ...] = ("fp32", "bf16", "int4")
    repeats: int = Field(7, ge=1)
    """Evaluations of each format and size; their median counts."""
    search_steps: int = Field(160, ge=1)
    """Steps of motion over which the search with a skin is averaged."""


class ArgonStudy(Strict):
    """Liquid argon as in X. Shen et al., PNNL-38353 (2025), sections 3 and 4.

    The report names neither its density nor its Lennard-Jones parameters; those of Rahman (1964) are taken.
    """

    atoms: int = Field(6078, ge=32)
    temperature_K: float = Field(100, gt=0)
    density_g_cm3: float = Field(ARGON_DENSITY_G_CM3, gt=0)
    epsilon_K: float = Field(ARGON_EPSILON_EV / units.kB, gt=0)
    """Depth of the Lennard-Jones potential over kB. The cutoff is that of `fit`."""
    sigma: float = Field(ARGON_SIGMA, gt=0)
    """Angstrom."""
    timestep_fs: float = Field(1, gt=0)
    skin: float = Field(1.0, ge=0)
    """Of neighbour lists, Angstrom."""
    seed: int = Field(0, ge=0)
    engine: Literal["auto", "lammps", "own"] = "auto"
    """What moves the atoms; auto: LAMMPS where it is installed."""
    threads: int = Field(1, ge=1)
    """Of torch. LAMMPS uses one."""
    formats: tuple[Format, ...] = Field(("fp64", "fp32", "bf16", "int8", "int4", "int4_refit"), min_length=1)
    reference: ReferenceSettings = ReferenceSettings()
    fit: PairFitConfig = PairFitConfig()
    dynamics: DynamicsSettings = DynamicsSettings()
    scaling: ScalingSettings = ScalingSettings()

    @property
    def argon(self) -> ArgonReference:
        """The reference system and potential."""
        return ArgonReference(
            self.atoms,
            self.temperature_K,
            self.density_g_cm3,
            self.timestep_fs,
            self.reference.equilibration_ps,
            epsilon=self.epsilon_K * units.kB,
            sigma=self.sigma,
            cutoff=self.fit.cutoff,
            skin=self.skin,
            seed=self.seed,
        )

    @property
    def neighbours(self) -> float:
        """Atoms within the cutoff of one, in the mean."""
        atoms_per_A3 = self.density_g_cm3 / (1e24 * 1000 * units._amu * atomic_masses[18])
        return 4 / 3 * math.pi * self.fit.cutoff**3 * atoms_per_A3

    def steps(self, picoseconds: float) -> int:
        """Time steps of a time, one or more."""
        return max(round(picoseconds * 1000 / self.timestep_fs), 1)


QUICK = {
    "atoms": 864,
    "reference": {"equilibration_ps": 10, "frames": 20, "interval_ps": 2},
    "fit": {"steps": 2500},
    "dynamics": {"equilibration_ps": 3, "length_ps": 15, "interval_ps": 0.05, "nve_ps": 3, "rollout_ps": 0.1},
    "scaling": {"repeats": 5},
}
"""Where the quick study differs."""


def load_study(quick: bool = False, atoms: int | None = None, overrides: list[str] | None = None) -> ArgonStudy:
    """The full or the quick study, with `key.subkey=value` overrides. Raises ConfigError naming the key."""
    return load_settings(ArgonStudy, QUICK if quick else {}, overrides, {"atoms": atoms}, "hydrasurr md argon")
