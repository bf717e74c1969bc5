"""One molecular dynamics run as one strict JSON file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from ase import Atoms
from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from hydrasurr.errors import ConfigError
from hydrasurr.md.restart import Restart
from hydrasurr.md.systems import (
    ARGON_DENSITY_G_CM3,
    NACL_LATTICE_CONSTANT,
    fcc,
    liquid_argon,
    read_structure,
    rocksalt,
    small_molecule,
)
from hydrasurr.strict import Strict, override, parse, read_json
from hydrasurr.surrogate.potentials.config import PotentialConfig

Cells = tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]


AnyPotential = Annotated[
    Annotated[str, Tag("path")] | Annotated[PotentialConfig, Tag("section")],
    Discriminator(lambda value: "path" if isinstance(value, str) else "section"),
]


class FileStructure(Strict):
    """A structure from a file."""

    type: Literal["file"] = "file"
    path: str
    """Anything ASE reads; relative to the folder the command runs in."""
    index: int = -1
    """Which structure of the file; -1: the last."""

    def build(self) -> Atoms:
        return read_structure(self.path, self.index)


class MoleculeStructure(Strict):
    """A small molecule alone in space."""

    type: Literal["molecule"] = "molecule"
    name: str
    """As in the G2 set of ase.build.molecule, such as CH3CH2OH."""

    def build(self) -> Atoms:
        return small_molecule(self.name)


class RunStructure(Strict):
    """The last restart of another run, velocities included: equilibrate in one run, then measure in the next."""

    type: Literal["run"] = "run"
    path: str
    """The folder of that run."""

    def build(self) -> Atoms:
        return Restart.read(Path(self.path) / "restart.npz").to_ase()


class ArgonStructure(Strict):
    """Argon in a cube at the density of a liquid, on the sites of a crystal or at random."""

    type: Literal["argon_liquid"] = "argon_liquid"
    atoms: int = Field(864, gt=0)
    density_g_cm3: float = Field(ARGON_DENSITY_G_CM3, gt=0)
    arrangement: Literal["lattice", "random"] = "lattice"
    """lattice: fcc, with sites left empty where the number of atoms is not 4 a b c."""
    seed: int = Field(0, ge=0)
    """Of the empty sites, or of the places at random."""

    def build(self) -> Atoms:
        return liquid_argon(self.atoms, self.density_g_cm3, self.arrangement, self.seed)


class FccStructure(Strict):
    """A face-centred cubic crystal."""

    type: Literal["fcc"] = "fcc"
    element: str
    lattice_constant: float | None = Field(None, gt=0)
    """Angstrom; null: as in ase.data.reference_states."""
    cells: Cells = (1, 1, 1)
    """Cubic cells of four atoms."""

    def build(self) -> Atoms:
        return fcc(self.element, self.lattice_constant, self.cells)


class RocksaltStructure(Strict):
    """A crystal of the structure of NaCl."""

    type: Literal["rocksalt"] = "rocksalt"
    cation: str = "Na"
    anion: str = "Cl"
    lattice_constant: float = Field(NACL_LATTICE_CONSTANT, gt=0)
    """Angstrom."""
    cells: Cells = (4, 4, 4)
    """Cubic cells of eight atoms."""

    def build(self) -> Atoms:
        return rocksalt(self.cation, self.anion, self.lattice_constant, self.cells)


class NVEConfig(Strict):
    """Constant energy."""

    type: Literal["nve"] = "nve"


class LangevinConfig(Strict):
    """Constant temperature by friction and random kicks: reaches equilibrium well, disturbs paths."""

    type: Literal["nvt_langevin"] = "nvt_langevin"
    friction_per_ps: float = Field(1.0, gt=0)


class BussiConfig(Strict):
    """Constant temperature by stochastic velocity rescaling (CSVR): hardly disturbs paths."""

    type: Literal["nvt_bussi"] = "nvt_bussi"
    time_constant_ps: float = Field(0.1, gt=0)


class TrajectoryConfig(Strict):
    """Which frames to write."""

    format: Literal["extxyz", "dcd"] = "extxyz"
    """extxyz: text with energy and stress; dcd: positions as 32-bit numbers, small and quick."""
    interval: int = Field(100, gt=0)
    """Steps between frames; the first is that of step 0."""
    velocities: bool = False
    """Write them too; extxyz only."""
    forces: bool = False
    """Write them too; extxyz only. Such a file is a data set for hydrasurr-preprocess."""

    @model_validator(mode="after")
    def _columns_fit(self) -> TrajectoryConfig:
        if self.format == "dcd" and (self.velocities or self.forces):
            raise ValueError("a DCD file holds positions only; for velocities and forces choose the format extxyz")
        return self


class StopsConfig(Strict):
    """What ends a run as failed. Energies and forces that are no numbers always do, and so does a million K."""

    max_drift: float | None = Field(None, gt=0)
    """Drift of the conserved energy in meV/atom/ps, of a straight line through all log lines; nve and nvt_bussi."""
    drift_after_ps: float = Field(1.0, gt=0)
    """From when on the drift is judged."""
    max_force: float | None = Field(None, gt=0)
    """Largest force on an atom, eV/Angstrom."""
    max_temperature: float | None = Field(None, gt=0)
    """K."""


class MDConfig(Strict):
    """A molecular dynamics run."""

    name: str
    structure: Annotated[
        FileStructure | MoleculeStructure | RunStructure | ArgonStructure | FccStructure | RocksaltStructure,
        Field(discriminator="type"),
    ]
    """What to move; a bare path means a file."""
    repeat: Cells = (1, 1, 1)
    """Copies of the structure along its cell vectors."""
    potential: AnyPotential
    """What gives the forces: a section with a type, or the path of a trained model; paths are relative to the folder
    the command runs in."""
    ensemble: Annotated[NVEConfig | LangevinConfig | BussiConfig, Field(discriminator="type")] = NVEConfig()
    """A bare name means its defaults."""
    timestep_fs: float = Field(gt=0)
    steps: int = Field(gt=0)
    """In all; a run that is resumed may be given more."""
    temperature_K: float | None = Field(None, gt=0)
    """Of the heat bath, and of the velocities to begin with."""
    velocities: Literal["random", "structure", "zero"] = "random"
    """To begin with. random: a Maxwell-Boltzmann distribution at temperature_K; structure: those that the structure
    brings; zero: at rest. The centre of mass rests in any case."""
    seed: int = Field(0, ge=0)
    """Of the velocities and the thermostat."""
    skin: float = Field(1.0, ge=0)
    """Verlet skin of the neighbour list, Angstrom. Changes the speed, and results only by rounding."""
    threads: int = Field(1, gt=0)
    """Of torch, on CPUs. One is quickest below about 10,000 atoms."""
    trajectory: TrajectoryConfig | None = TrajectoryConfig()
    """null: none."""
    log_interval: int = Field(10, gt=0)
    """Steps between lines of log.csv."""
    restart_interval: int = Field(1000, gt=0)
    """Steps between restart files; one is also written at the end, and when the run is stopped."""
    stops: StopsConfig = StopsConfig()

    @field_validator("structure", mode="before")
    @classmethod
    def _path(cls, value: Any) -> Any:
        return {"type": "file", "path": value} if isinstance(value, str) else value

    @field_validator("ensemble", mode="before")
    @classmethod
    def _name(cls, value: Any) -> Any:
        return {"type": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _temperature_is_there(self) -> MDConfig:
        needs = [] if self.ensemble.type == "nve" else [f"ensemble {self.ensemble.type}"]
        needs += ["velocities 'random'"] if self.velocities == "random" else []
        if self.temperature_K is None and needs:
            raise ValueError(f"temperature_K is missing, which {' and '.join(needs)} need")
        if self.stops.max_drift is not None and self.ensemble.type == "nvt_langevin":
            raise ValueError("stops.max_drift is set, but nvt_langevin conserves no energy; leave it out")
        return self


def load_md_config(path: str | Path, overrides: list[str] | None = None) -> MDConfig:
    """Read a run's JSON and apply `key.subkey=value` overrides. Raises ConfigError naming file and key."""
    raw = read_json(path)
    if not isinstance(raw, dict):
        raise ConfigError(f"'{path}' holds a {type(raw).__name__}, an object with the keys of a run is expected")
    override(raw, overrides or [])
    return parse(MDConfig, raw, path, overrides or [])
