"""Labels of files of structures under their usual names, and files that cannot be read."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from hydrasurr.errors import HydrasurrError, StructureError
from hydrasurr.surrogate.structure_file import read_structures

FORCES = np.array([[0.5, 0, 0], [-0.5, 0, 0]])
STRESS = np.array([[1, 6, 5], [6, 2, 4], [5, 4, 3]]) / 100


def _write(path: Path, *frames: tuple[dict, dict], size: float = 5.0) -> Path:
    atoms = []
    for info, arrays in frames:
        one = Atoms("Ne2", [(0, 0, 0), (2, 0, 0)], cell=[size] * 3, pbc=size > 0)
        one.info.update(info)
        for name, values in arrays.items():
            one.set_array(name, values)
        atoms.append(one)
    ase.io.write(path, atoms, format="extxyz")
    return path


@pytest.mark.parametrize(
    ("energy", "forces"), [("REF_energy", "REF_forces"), ("dft_energy", "dft_forces"), ("ref_energy", "F")]
)
def test_usual_names(tmp_path: Path, energy: str, forces: str) -> None:
    table = read_structures(_write(tmp_path / "a.xyz", ({energy: -3.5}, {forces: FORCES}), ({}, {forces: 2 * FORCES})))
    np.testing.assert_array_equal(table.columns["y"], [[-3.5], [np.nan]])
    np.testing.assert_allclose(table.columns["force"], np.concatenate([FORCES, 2 * FORCES]))
    assert "stress" not in table.columns


@pytest.mark.parametrize(
    "info",
    [
        {"REF_stress": STRESS},
        {"REF_stress": STRESS.ravel()[[0, 4, 8, 5, 2, 1]]},
        {"REF_virial": -(5.0**3) * STRESS},
        {"REF_virials": -(5.0**3) * STRESS},
        {"REF_virial": np.eye(3), "REF_stress": STRESS},
    ],
)
def test_stresses(tmp_path: Path, info: dict) -> None:
    np.testing.assert_allclose(read_structures(_write(tmp_path / "a.xyz", (info, {}))).columns["stress"], [STRESS])


@pytest.mark.parametrize("key", ["REF_stress", "REF_virial"])
def test_zeros_fill_the_place_of_stresses_without_a_cell(tmp_path: Path, key: str) -> None:
    file = _write(tmp_path / "a.xyz", ({key: np.zeros((3, 3)), "energy": 1.0}, {}), size=0)
    table = read_structures(file)
    assert table.columns["y"] == [[1.0]] and "stress" not in table.columns


def test_energies_of_each_atom_are_no_energy(tmp_path: Path) -> None:
    atom = Atoms("Ne", [(0, 0, 0)])
    atom.calc = SinglePointCalculator(atom, energy=2.0, energies=[7.0])
    ase.io.write(tmp_path / "a.traj", atom)
    assert read_structures(tmp_path / "a.traj").columns["y"] == [[2.0]]


def test_what_is_meant_has_to_be_clear(tmp_path: Path) -> None:
    with pytest.raises(HydrasurrError, match="several kinds of energy: REF_energy, dft_energy; .* --energy REF_energy"):
        read_structures(_write(tmp_path / "a.xyz", ({"REF_energy": 1.0}, {}), ({"dft_energy": 1.0}, {})))
    with pytest.raises(HydrasurrError, match=r"of a usual name; .* hydrasurr-preprocess card .*a\.xyz"):
        read_structures(_write(tmp_path / "a.xyz", ({"E0": 1.0}, {})))
    with pytest.raises(StructureError, match=r"a.xyz', structure 2: 'REF_energy' is not 1 numbers: 'bad'"):
        read_structures(_write(tmp_path / "a.xyz", ({"REF_energy": 1.0}, {}), ({"REF_energy": "bad"}, {})))
    with pytest.raises(StructureError, match=r"structure 1: a virial 'virials' without a cell"):
        read_structures(_write(tmp_path / "a.xyz", ({"virials": STRESS}, {}), size=0))


def test_archives_have_units_of_their_own(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", R=np.zeros((1, 1, 3)))
    with pytest.raises(HydrasurrError, match=r"a\.npz' is an archive of arrays.*hydrasurr-preprocess card .*a\.npz"):
        read_structures(tmp_path / "a.npz")


GOOD = "1\nenergy=1\nNe 0 0 0\n"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("no structures\n", 1),
        (GOOD + GOOD + "1\nenergy=1\nNe 0 0\n", 3),
        ("1\nenergy=1\nNe 0 zero 0\n" + GOOD, 1),
        (GOOD + "1\nenergy=1\nNe 0 0 0\nNe 1 0 0\n" + GOOD, 3),
        (GOOD + "2\nenergy=1\nNe 0 0 0\n", 2),
    ],
)
def test_broken_files_are_named_with_the_place(tmp_path: Path, text: str, number: int) -> None:
    path = tmp_path / "a.xyz"
    path.write_text(text)
    with pytest.raises(HydrasurrError) as caught:
        read_structures(path)
    assert str(caught.value).startswith(f"'{path}' is no data set, and ASE cannot read it from structure {number} on: ")
    assert "\\n" not in str(caught.value) and "\n" not in str(caught.value)
