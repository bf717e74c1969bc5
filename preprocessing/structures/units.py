"""The units of archives that tell them: those of sGDML by name, those of the revised MD17 by what else they hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def archive_scales(file: Path) -> tuple[float, float]:
    """Factors from a file's units of energy and length to eV and Angstrom; 1 where they are not told.

    Archives of sGDML (sgdml.org) have the names of their units as `e_unit` and `r_unit`. The revised MD17
    (doi:10.6084/m9.figshare.12672038), known by its arrays `old_energies`, is in kcal/mol and Angstrom.
    """
    if file.suffix.lower() != ".npz":
        return 1.0, 1.0
    from ase import units

    energies = {
        "ev": 1.0,
        "mev": 1e-3,
        "kcal/mol": units.kcal / units.mol,
        "kj/mol": units.kJ / units.mol,
        "hartree": units.Hartree,
        "ha": units.Hartree,
        "rydberg": units.Rydberg,
        "ry": units.Rydberg,
    }
    lengths = {"ang": 1.0, "angstrom": 1.0, "bohr": units.Bohr, "nm": units.nm}
    with np.load(file, allow_pickle=False) as archive:
        if {"nuclear_charges", "old_energies"} <= set(archive.files):
            return energies["kcal/mol"], 1.0
        names = [str(archive[name]).lower() if name in archive.files else "" for name in ("e_unit", "r_unit")]
    return energies.get(names[0], 1.0), lengths.get(names[1], 1.0)
