"""The card of a data set of structures: atoms in space with energies, forces and stresses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from hydrasurr.errors import did_you_mean
from hydrasurr.graphs.schema import ELEMENTS
from hydrasurr.strict import Strict
from preprocessing.card_base import CardBase, SplitBase

FrameFormat = Literal["extxyz", "npz", "ase"]


class Label(Strict):
    """Where a label is found in the files."""

    key: str = ""
    """Its name there; if not given, the only usual one that is there (energy, REF_energy, dft_energy, ...)."""
    scale: float = 1.0
    """Factor from the unit of the files to eV and Angstrom, say 27.211386245988 from Hartree to eV."""

    @field_validator("scale")
    @classmethod
    def _scale_is_not_zero(cls, scale: float) -> float:
        if scale == 0:
            raise ValueError("a scale of 0 would erase the label")
        return scale


class StressLabel(Label):
    """The stress, after `scale` in eV/A^3 and positive under tension, as ASE has it.

    Many programs write it the other way round, positive under pressure: for the kB that VASP prints, `scale` is
    -6.241509074e-4 and `order` is `vasp`.
    """

    order: Literal["voigt", "vasp"] = "voigt"
    """Of six numbers: xx yy zz yz xz xy, or xx yy zz xy yz xz; three by three need none."""
    quantity: Literal["stress", "virial"] | None = None
    """`virial`: -dE/dstrain in eV, which is -volume * stress. Told from the key (stress, virial) if not given."""


def _only_key(raw: Any) -> Any:
    return {"key": raw} if isinstance(raw, str) else raw


def _only_path(raw: Any) -> Any:
    return {"path": raw} if isinstance(raw, str) else raw


class FrameFile(Strict):
    """A file with frames."""

    path: str = Field(min_length=1)
    split: Literal["", "train", "val", "test"] = ""
    """Where all its frames go; if empty, the card's `split` decides on each."""


class FrameSplit(SplitBase):
    """How the frames of files without a split of their own are divided into train, val and test."""

    rule: Literal["random", "column"] = "random"
    """`random`: by a hash of the number of the frame. `column`: as a value of the frame says, in extended XYZ one
    of the comment line."""
    fractions: tuple[float, float, float] = (0.9, 0.05, 0.05)


class StructureCard(CardBase):
    """A data set of structures: its files, labels, split and origin."""

    kind: Literal["structures"] = "structures"
    files: tuple[Annotated[FrameFile, BeforeValidator(_only_path)], ...] = Field(min_length=1)
    """Read one after the other; a path, or a path with the split all its frames go to. Paths start at the card's
    folder."""
    format: FrameFormat | None = None
    """Told from the suffix if not given: extended XYZ (.xyz, .extxyz, packed with gzip or not), NumPy (.npz), or ASE's
    databases and trajectories (.db, .json, .traj)."""
    energy: Annotated[Label | None, BeforeValidator(_only_key)] = Label()
    """Total energy; a key alone will do, null leaves it out. Likewise forces and stress."""
    forces: Annotated[Label | None, BeforeValidator(_only_key)] = Label()
    stress: Annotated[StressLabel | None, BeforeValidator(_only_key)] = StressLabel()
    length_scale: float = Field(default=1.0, gt=0)
    """Factor from the files' unit of length to Angstrom, of positions and cells."""
    atomic_energies: dict[str, float] | str = "fitted"
    """Energies of single atoms, eV, which models start from: given by element, or a file with a frame of each (keys
    and units as in the others), or `fitted`: by least squares over the training split."""
    split: FrameSplit = FrameSplit()
    cutoff: float | None = Field(default=None, gt=0)
    """Store edges between atoms up to this distance, Angstrom. If not given, they are found when the data are loaded,
    for whatever cutoff a model has."""
    max_atoms: int = Field(default=65_536, ge=1, le=2**31 - 1)
    """Structures with more atoms than this are rejected."""
    min_distance: float = Field(default=0.3, ge=0)
    """Structures with two atoms closer than this, Angstrom, are rejected."""

    @field_validator("atomic_energies")
    @classmethod
    def _elements_are_known(cls, energies: dict[str, float] | str) -> dict[str, float] | str:
        for symbol in energies if isinstance(energies, dict) else ():
            if symbol not in ELEMENTS[1:]:
                raise ValueError(f"no element '{symbol}'{did_you_mean(symbol, ELEMENTS[1:])}")
        return energies

    @property
    def paths(self) -> list[Path]:
        return [Path(file.path) for file in self.files]

    @property
    def isolated_atoms(self) -> Path | None:
        """The file with a frame of each atom, if the card names one."""
        given = isinstance(self.atomic_energies, str) and self.atomic_energies != "fitted"
        return Path(self.atomic_energies) if given else None

    def beside(self, folder: Path) -> StructureCard:
        """The card with paths that start where those of `folder` do."""
        files = tuple(file.model_copy(update={"path": str(folder / file.path)}) for file in self.files)
        atoms = {"atomic_energies": str(folder / self.isolated_atoms)} if self.isolated_atoms else {}
        return self.model_copy(update={"files": files, **atoms})

    def with_files(self, files: Sequence[Path]) -> StructureCard:
        """The card with other files, all divided by `split`."""
        return self.model_copy(update={"files": tuple(FrameFile(path=str(file)) for file in files)})
