"""Reads the files of LAMMPS' `pair_style table`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from hydrasurr.errors import HydrasurrError, did_you_mean

EV = {"metal": 1.0, "real": 4184 / (1.602176634e-19 * 6.02214076e23)}
"""The unit of energy of LAMMPS' `units`, in eV; both measure distances in Angstrom."""


class Section(NamedTuple):
    """One table: distance (Angstrom, increasing), energy (eV) and force (-dU/dr, eV/Angstrom), float64 `[K]` each."""

    distance: np.ndarray
    energy: np.ndarray
    force: np.ndarray


def read_lammps_table(path: str | Path) -> dict[str, Section]:
    """All sections of a file by name, in its order.

    Energies are in the unit that a first line such as `# UNITS: real` names, else in eV. Distances are those of
    the keywords `R` or `RSQ`, else those of the rows. Raises HydrasurrError naming the file and line.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise HydrasurrError(f"cannot read the table '{path}': {error}") from error
    unit = _unit(path, lines[0] if lines else "")
    rows = [(number, line.split()) for number, line in enumerate(lines, 1)]
    rows = [(number, words) for number, words in rows if words and not words[0].startswith("#")]
    sections: dict[str, Section] = {}
    while rows:
        number, (name, *_) = rows[0]
        if name in sections:
            raise HydrasurrError(f"'{path}', line {number}: the section '{name}' is there twice")
        count, even = _parameters(path, *rows[1]) if len(rows) > 1 else (0, None)
        values = _values(path, name, rows[2 : 2 + count], count)
        distance = values[:, 0] if even is None else even
        sections[name] = Section(distance, values[:, 1] * unit, values[:, 2] * unit)
        rows = rows[2 + count :]
    if not sections:
        raise HydrasurrError(f"'{path}' holds no table")
    return sections


def _unit(path: str | Path, line: str) -> float:
    words = line.replace("#", " ").split()
    if "UNITS:" not in words[:-1]:
        return EV["metal"]
    name = words[words.index("UNITS:") + 1]
    if name not in EV:
        raise HydrasurrError(f"'{path}': no conversion from units '{name}'{did_you_mean(name, EV)}")
    return EV[name]


def _parameters(path: str | Path, number: int, words: list[str]) -> tuple[int, np.ndarray | None]:
    """From a line such as `N 500 R 1.0 10.0`: the number of rows, and their distances if the line gives them."""
    try:
        count = int(words[words.index("N") + 1])
        if "BITMAP" in words:
            raise HydrasurrError(f"'{path}', line {number}: BITMAP is not supported; write the table with R or RSQ")
        for keyword, power in (("R", 1), ("RSQ", 2)):
            if keyword in words:
                low, high = (float(word) for word in words[words.index(keyword) + 1 :][:2])
                return count, np.linspace(low**power, high**power, count) ** (1 / power)
    except (ValueError, IndexError):
        raise HydrasurrError(
            f"'{path}', line {number}: expected parameters such as 'N 500 R 1.0 10.0', found '{' '.join(words)}'"
        ) from None
    return count, None


def _values(path: str | Path, name: str, rows: list[tuple[int, list[str]]], count: int) -> np.ndarray:
    """float64 `[count, 3]`: distance, energy and force."""
    if count < 2 or len(rows) < count:
        raise HydrasurrError(f"'{path}': the section '{name}' has {len(rows)} rows; expected {max(count, 2)}")
    for number, words in rows:
        try:
            _, _, _, _ = map(float, words[:4])
        except ValueError:
            raise HydrasurrError(
                f"'{path}', line {number}: expected index, distance, energy and force, found '{' '.join(words)}'"
            ) from None
    return np.array([words[1:4] for _, words in rows], np.float64)
