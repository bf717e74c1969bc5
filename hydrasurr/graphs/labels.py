"""Usual names of energies, forces and stresses in files of structures, of which ASE itself knows one each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from hydrasurr.errors import StructureError

if TYPE_CHECKING:
    from ase import Atoms

_USUAL: dict[str, list[tuple[str, ...]]] = {
    "energy": [
        ("energy", "ref_energy", "dft_energy", "energy_ref", "total_energy", "totenergy", "energies", "e"),
        ("free_energy",),
    ],
    "forces": [("forces", "ref_forces", "dft_forces", "forces_ref", "force", "ref_force", "dft_force", "f")],
    "stress": [
        ("stress", "ref_stress", "dft_stress", "stress_ref"),
        ("virial", "ref_virial", "dft_virial", "virial_ref", "virials", "ref_virials", "dft_virials", "virials_ref"),
    ],
}
"""Usual names of each label in small letters; the second row counts only if nothing of the first is there."""
LABELS = tuple(_USUAL)


def values_of(atoms: Atoms) -> dict[str, Any]:
    """Everything that a file says of a structure and of its atoms besides elements and positions, by name."""
    arrays = {name: array for name, array in atoms.arrays.items() if name not in ("numbers", "positions")}
    info = dict(atoms.info)
    for section in ("key_value_pairs", "data"):  # of a database
        info |= info.pop(section, {})
    results = dict(atoms.calc.results) if atoms.calc is not None else {}
    results.pop("energies", None)  # those of each atom, which for one atom would look like an energy of all
    return {**info, **arrays, **results}


def fits(label: str, atoms: int, value: Any) -> bool:
    """Whether a value looks like such a label of a structure with so many atoms."""
    if isinstance(value, str):
        return False
    try:
        shape = np.asarray(value, np.float64).shape
    except (TypeError, ValueError):
        return False
    return shape in {"energy": [(), (1,)], "forces": [(atoms, 3)], "stress": [(6,), (9,), (3, 3)]}[label]


def usual_keys(label: str, keys: Iterable[str]) -> list[str]:
    """Those of `keys` that usually name the label; if there are several, it is not clear which is meant."""
    keys = list(keys)
    return next(filter(None, ([key for key in keys if key.lower() in row] for row in _USUAL[label])), [])


def is_virial(key: str) -> bool:
    """Whether a stress of this name is a virial: -dE/dstrain in eV, which is -volume * stress."""
    return "virial" in key.lower()


def as_stress(tensor: np.ndarray, key: str, volume: float, *, virial: bool) -> np.ndarray:
    """float64 `[3, 3]`: the stress that a stress or a virial `[3, 3]` of this name means; NaN where there is none.

    Where there is no cell (`volume` 0) there is no stress, and zeros only fill its place; raises StructureError for
    other numbers.
    """
    if volume == 0:
        if np.nan_to_num(tensor).any():
            raise StructureError(f"a {'virial' if virial else 'stress'} '{key}' without a cell")
        return np.full((3, 3), np.nan)
    return -tensor / volume if virial else tensor
