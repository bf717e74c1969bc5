"""What a study of crystalline NaCl does, as one strict configuration."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from hydrasurr.md.study.settings import Format, load_settings
from hydrasurr.md.systems import NACL_LATTICE_CONSTANT
from hydrasurr.models.pair_quantize import FORMATS
from hydrasurr.strict import Strict
from hydrasurr.training.pair_fit import PairFitConfig

Edge = Annotated[int, Field(ge=3, le=40)]
"""Cubic cells of eight ions along each edge of the box; three are the fewest without ions that see themselves."""

TAKEN = "reference", "again", "p3m", "none", "graph"
"""What else a study has runs, fits or far forces of."""


class ReferenceSettings(Strict):
    """The trajectory that gives the forces to learn: constant energy, after an equilibration at the temperature."""

    equilibration_ps: float = Field(5, ge=0)
    frames: int = Field(60, ge=4)
    interval_ps: float = Field(1, gt=0)
    """From one frame to the next."""


class DynamicsSettings(Strict):
    """The runs that each model is judged by, all from the same positions and velocities."""

    equilibration_ps: float = Field(3, ge=0)
    length_ps: float = Field(12, gt=0)
    """At constant temperature, for g(r), energy and pressure."""
    interval_ps: float = Field(0.1, gt=0)
    """From one recorded frame to the next."""
    nve_ps: float = Field(4, gt=0)
    """At constant energy afterwards, for the drift."""
    r_max: float = Field(10.0, gt=0)
    """g(r) goes up to there, Angstrom."""


class LearnedSettings(Strict):
    """A pair network in place of the sum over reciprocal space."""

    part: Literal["far", "coulomb"] = "far"
    """What is learned: far, the part of reciprocal space, with the near part computed as ever; or all of Coulomb."""
    hot: bool = False
    """Learn from hot frames too, not from the crystal at its temperature alone."""
    fit: PairFitConfig = PairFitConfig(switch=1.0)


class LimitsSettings(Strict):
    """Where a learned far part is tested beyond the crystal that it learned from."""

    frames: int = Field(8, ge=1)
    """Of each place."""
    equilibration_ps: float = Field(3, ge=0)
    interval_ps: float = Field(0.5, gt=0)
    hot_K: float = Field(1000, gt=0)
    """In the same cell; NaCl melts at 1,074 K."""
    strain: float = Field(0.03, gt=-0.2, lt=0.2)
    """Of the edge along x alone."""
    vacuum: float = Field(20, gt=0)
    """Above the slab, Angstrom."""


class GraphSettings(Strict):
    """A graph network in place of the sum over reciprocal space: it sees more than pairs."""

    representation: Literal["painn", "schnet"] = "painn"
    cutoff: float = Field(6.0, gt=0)
    """Of one message, Angstrom; ions feel those `layers` times as far away."""
    width: int = Field(32, ge=4)
    layers: int = Field(2, ge=1)
    steps: int = Field(3000, ge=1)
    """One frame each."""
    learning_rate: float = Field(3e-3, gt=0)


class ScalingSettings(Strict):
    """Times of pairs and reciprocal space over system size, as in Fig. 9 of PNNL-38353."""

    edges: tuple[Edge, ...] = Field((4, 6, 8, 12, 16, 20), min_length=1)
    """Boxes of so many cubic cells along each edge: 512 to 64,000 ions."""
    seconds: float = Field(1.0, gt=0)
    """About as long each measurement goes on."""
    repeats: int = Field(7, ge=1)
    """Measurements of each; the fastest counts."""


class NaClStudy(Strict):
    """Crystalline NaCl as in X. Shen et al., PNNL-38353 (2025), sections 2.2 and 5.

    The report names no potential; that of Fumi and Tosi (1964) is taken, in LAMMPS `born/coul/long`.
    """

    cells: int = Field(6, ge=3)
    """Cubic cells of eight ions along each edge."""
    lattice_constant: float = Field(NACL_LATTICE_CONSTANT, gt=0)
    """Angstrom. The measured one; the pressure of the model there is in the report."""
    temperature_K: float = Field(298, gt=0)
    timestep_fs: float = Field(2, gt=0)
    skin: float = Field(1.0, ge=0)
    """Of neighbour lists, Angstrom."""
    cutoff: float = Field(8.5, gt=0)
    """Of the short-range forces and of the near part of Coulomb, Angstrom."""
    accuracy: float = Field(1e-4, gt=0, lt=0.1)
    """Of the sum over reciprocal space, root mean square, in the force between two charges of e an Angstrom apart;
    as LAMMPS has it."""
    seed: int = Field(0, ge=0)
    engine: Literal["auto", "lammps", "own"] = "auto"
    """What moves the ions; auto: LAMMPS where it is installed."""
    threads: int = Field(1, ge=1)
    """Of torch. LAMMPS uses one."""
    formats: tuple[Format, ...] = Field(("fp64", "fp32", "bf16", "int8", "int4", "int4_refit"), min_length=1)
    reference: ReferenceSettings = ReferenceSettings()
    fit: PairFitConfig = PairFitConfig(switch=1.0)
    """Of the short-range forces. Its cutoff is that of the study."""
    fit_hot: bool = True
    """Fit them to frames of the hot crystal too, where ions come closer, and between the shells of the cold one."""
    dynamics: DynamicsSettings = DynamicsSettings()
    learned: dict[str, LearnedSettings] = {
        "far-8.5": LearnedSettings(fit=PairFitConfig(cutoff=8.5, switch=1.0)),
        "far-12": LearnedSettings(fit=PairFitConfig(cutoff=12.0, switch=1.0, particles=100)),
        "coulomb-12": LearnedSettings(part="coulomb", fit=PairFitConfig(cutoff=12.0, switch=1.0, particles=100)),
        "far-12-hot": LearnedSettings(hot=True, fit=PairFitConfig(cutoff=12.0, switch=1.0, particles=100)),
    }
    """Replacements of the sum over reciprocal space by name."""
    dsf_cutoffs: tuple[Annotated[float, Field(gt=0)], ...] = (8.5, 12.0)
    """Of damped shifted forces, which they are compared with, Angstrom."""
    graph: GraphSettings | None = GraphSettings()
    """null: none is trained."""
    limits: LimitsSettings = LimitsSettings()
    scaling: ScalingSettings = ScalingSettings()

    @field_validator("learned")
    @classmethod
    def _names(cls, learned: dict[str, LearnedSettings]) -> dict[str, LearnedSettings]:
        for name in learned:
            if not name.replace("-", "").replace(".", "").isalnum():
                raise ValueError(f"'{name}' is no name for a replacement: letters, digits, '-' and '.'")
            if name in (*FORMATS, *TAKEN) or name.startswith(("dsf-", "near-")):
                raise ValueError(f"'{name}' is no name for a replacement: something else in the study is called so")
        return learned

    @field_validator("formats")
    @classmethod
    def _exact(cls, formats: tuple[Format, ...]) -> tuple[Format, ...]:
        if "fp64" not in formats:
            raise ValueError("fp64 must be among the formats: all others are rounded from it")
        return formats

    @model_validator(mode="after")
    def _fits(self) -> NaClStudy:
        if self.fit.cutoff != self.cutoff:
            raise ValueError(f"fit.cutoff {self.fit.cutoff:g} must be the cutoff {self.cutoff:g}")
        shortest = min((fit.cutoff for fit in (one.fit for one in self.learned.values())), default=self.cutoff)
        if shortest < self.cutoff:
            raise ValueError(f"a cutoff of {shortest:g} in learned is shorter than that of the near part")
        return self

    @property
    def ions(self) -> int:
        return 8 * self.cells**3

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """All in place of reciprocal space that fit in a table: damped shifted forces, and what is learned."""
        return (*(f"dsf-{cutoff:g}" for cutoff in self.dsf_cutoffs), *self.learned)

    def steps(self, picoseconds: float) -> int:
        """Time steps of a time."""
        return round(picoseconds * 1000 / self.timestep_fs)


def _quick(name: str, steps: int) -> dict[str, Any]:
    whole = NaClStudy().learned[name].model_dump()
    return {**whole, "fit": {**whole["fit"], "steps": steps, "particles": 64}}


QUICK: dict[str, Any] = {
    "cells": 4,
    "reference": {"equilibration_ps": 1.5, "frames": 30, "interval_ps": 0.25},
    "fit": {"steps": 3000, "particles": 128, "switch": 1.0},
    "dynamics": {"equilibration_ps": 0.5, "length_ps": 3, "interval_ps": 0.05, "nve_ps": 1},
    "learned": {
        "far-8.5": _quick("far-8.5", 1200),
        "far-12": _quick("far-12", 800),
        "far-12-hot": _quick("far-12-hot", 800),
    },
    "graph": {"steps": 250},
    "limits": {"frames": 4, "equilibration_ps": 1, "interval_ps": 0.25},
    "scaling": {"edges": (4, 6, 8), "seconds": 0.3},
}
"""Where the quick study differs."""


def load_study(quick: bool = False, cells: int | None = None, overrides: list[str] | None = None) -> NaClStudy:
    """The full or the quick study, with `key.subkey=value` overrides. Raises ConfigError naming the key."""
    return load_settings(NaClStudy, QUICK if quick else {}, overrides, {"cells": cells}, "hydrasurr md nacl")
