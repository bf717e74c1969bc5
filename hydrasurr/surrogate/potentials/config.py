"""Potentials as JSON: `{"type": "lennard_jones", "epsilon": 0.0103, ...}`; see load_potential."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import Field, field_validator, model_validator

from hydrasurr.errors import ConfigError, did_you_mean
from hydrasurr.strict import Strict, parse
from hydrasurr.surrogate.potentials.elements import PairKinds, atomic_number

Value = TypeVar("Value")
Positive = Annotated[float, Field(gt=0)]


def _checked(value: Value, check: Callable[[], object]) -> Value:
    """`value`, once `check` has passed; its ConfigError becomes what pydantic reports with the name of the key."""
    try:
        check()
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return value


class LennardJonesConfig(Strict):
    """`4 epsilon ((sigma / r)^12 - (sigma / r)^6)` between all elements."""

    type: Literal["lennard_jones"]
    epsilon: Positive
    """Depth, eV."""
    sigma: Positive
    """Distance at which the energy is 0, Angstrom."""
    cutoff: Positive
    """Angstrom."""
    shift: bool = True
    """Add a constant, so that the energy is 0 at the cutoff."""


class BornPairConfig(Strict):
    """`a exp((sigma - r) / rho) - c / r^6 + d / r^8`, as in LAMMPS."""

    a: float
    """eV."""
    rho: Positive
    """Angstrom."""
    sigma: float
    """Angstrom."""
    c: float
    """eV Angstrom^6."""
    d: float
    """eV Angstrom^8; negative if it attracts."""


class BornConfig(Strict):
    """Born-Mayer-Huggins, without charges."""

    type: Literal["born"]
    pairs: dict[str, BornPairConfig] | None = Field(None, min_length=1)
    """By pair of elements, such as "Na-Cl"; null: those of Tosi and Fumi for NaCl."""
    cutoff: Positive = 10.0
    """Angstrom."""
    shift: bool = True
    """Add constants, so that the energies are 0 at the cutoff."""

    @field_validator("pairs")
    @classmethod
    def _elements(cls, pairs: dict[str, BornPairConfig] | None) -> dict[str, BornPairConfig] | None:
        return None if pairs is None else _checked(pairs, lambda: PairKinds(pairs))


class CoulombConfig(Strict):
    """Charges by element, summed with all their periodic images."""

    type: Literal["coulomb"]
    charges: dict[str, float] = Field(min_length=1)
    """By symbol, e: {"Na": 1, "Cl": -1}."""
    cutoff: Positive = 10.0
    """Of the part in real space, Angstrom."""
    method: Literal["p3m", "ewald"] = "p3m"
    """Of the part in reciprocal space."""
    accuracy: Positive = 1e-4
    """Of forces, root mean square, eV/Angstrom; decides smearing and resolution where they are not given."""
    smearing: Positive | None = None
    """Width of the Gaussians, Angstrom; give the resolution, too."""
    resolution: Positive | None = None
    """ewald: the shortest wave; p3m: the largest spacing of mesh points times two. Angstrom."""

    @field_validator("charges")
    @classmethod
    def _elements(cls, charges: dict[str, float]) -> dict[str, float]:
        return _checked(charges, lambda: [atomic_number(symbol) for symbol in charges])

    @model_validator(mode="after")
    def _whole_splitting(self) -> CoulombConfig:
        if (self.smearing is None) != (self.resolution is None):
            raise ValueError("smearing and resolution: give both or none")
        return self


class TableConfig(Strict):
    """A file for LAMMPS' `pair_style table`."""

    type: Literal["table"]
    file: str
    pairs: dict[str, str] | None = None
    """Which section is for which pair of elements: {"Na-Cl": "SECTION"}; null: sections are named after pairs."""


class PairMLPConfig(Strict):
    """A trained network of the distance."""

    type: Literal["pair_mlp"]
    file: str
    precision: str | None = None
    """The number format to compute in, such as fp32; null: that of the file."""
    device: str = "cpu"
    """cpu, cuda, cuda:1, ..."""


class NetworkConfig(Strict):
    """A trained graph neural network."""

    type: Literal["network"]
    file: str
    """A run folder or an exported model."""
    precision: Literal["float32", "float64"] | None = None
    """Of the weights; null: as they are."""
    device: str = "cpu"
    """cpu, cuda, cuda:1, ..., or auto: CUDA where there is one."""


class MACEConfig(Strict):
    """A model of the package mace-torch."""

    type: Literal["mace"]
    file: str
    precision: Literal["float32", "float64"] = "float64"
    """To compute in."""
    head: str | None = None
    """Which one of several; null: the only one, or that called Default."""
    device: str = "cpu"
    """cpu, cuda, cuda:1, ..."""
    trust_pickle: bool = False
    """The file is a pickle, which can run any code when it is loaded; true: you know where it comes from."""


class AOTConfig(Strict):
    """A trained graph neural network, compiled by `hydrasurr export --aot`."""

    type: Literal["aot"]
    folder: str
    """Native code, which loading runs: one that you, or somebody you trust, exported."""


class SumConfig(Strict):
    """The sum of several potentials."""

    type: Literal["sum"]
    terms: tuple[PotentialConfig, ...]

    @field_validator("terms")
    @classmethod
    def _some(cls, terms: tuple[PotentialConfig, ...]) -> tuple[PotentialConfig, ...]:
        if not terms:
            raise ValueError("a sum needs at least one term")
        return terms


class GuardedConfig(Strict):
    """A potential with a guard against pairs closer than it was trained on."""

    type: Literal["guarded"]
    potential: PotentialConfig
    r_min: Positive | dict[str, Positive] | None = None
    """Angstrom, for all pairs or by pair of elements; null: what the potential says itself."""
    stop: bool = False
    """End with an error at the first such pair, instead of repelling it."""
    stiffness: Positive | None = None
    """Of the repulsion, eV/Angstrom^2; null: as steep as the potential itself, or 50 around networks."""

    @field_validator("r_min")
    @classmethod
    def _elements(cls, r_min: float | dict[str, float] | None) -> float | dict[str, float] | None:
        return _checked(r_min, lambda: PairKinds(r_min)) if isinstance(r_min, dict) else r_min


PotentialConfig = Annotated[
    LennardJonesConfig
    | BornConfig
    | CoulombConfig
    | TableConfig
    | PairMLPConfig
    | NetworkConfig
    | MACEConfig
    | AOTConfig
    | SumConfig
    | GuardedConfig,
    Field(discriminator="type"),
]
SumConfig.model_rebuild()
GuardedConfig.model_rebuild()

SECTIONS: dict[str, type[Strict]] = {
    get_args(section.model_fields["type"].annotation)[0]: section for section in get_args(get_args(PotentialConfig)[0])
}
"""The section of each type."""


def parse_potential(raw: Any, where: str | Path) -> PotentialConfig:
    """Check the section of a potential. Raises ConfigError naming `where` and the key."""
    kind = raw.get("type") if isinstance(raw, dict) else None
    if not isinstance(kind, str):
        raise ConfigError(f"'{where}': a potential is a section with a key type, one of {', '.join(SECTIONS)}")
    if kind not in SECTIONS:
        raise ConfigError(f"'{where}': no potential of type '{kind}'{did_you_mean(kind, SECTIONS)}")
    return parse(SECTIONS[kind], raw, where)
