"""Files of structures, good ones and others."""

from __future__ import annotations

import gzip
from pathlib import Path

import ase.build
import ase.db
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from hydrasurr.errors import ConfigError
from preprocessing.structures.frames import Frame, frame_format, parse_frame, read_frames
from tests.conftest import ROOT
from tests.preprocessing.structures.conftest import write_db, write_npz, write_traj, write_xyz
from tests.structures import ethanols, silicons

CO = """2
Lattice="4 0 0 0 5 0 1 0 6" Properties=species:S:1:pos:R:3:REF_forces:R:3 REF_energy=-1.5 tag=a pbc="T T F"
C 0 0 0 1 2 3
O 0 0 1.1 -1 -2 -3
"""


def frames_of(file: Path, format: str | None = None) -> list[Frame]:
    return [parse_frame(raw) for raw in read_frames(file, format)]


def reasons_of(file: Path) -> list[str]:
    """Why frames are none, "" for good ones."""
    reasons = []
    for raw in read_frames(file):
        try:
            parse_frame(raw)
            reasons.append("")
        except ValueError as error:
            reasons.append(str(error))
    return reasons


@pytest.fixture(scope="module")
def metals() -> list[Atoms]:
    """Copper with energies, forces and stresses."""
    frames = []
    for seed in range(5):
        atoms = ase.build.bulk("Cu", cubic=True) * (2, 1, 1)
        atoms.rattle(0.1, seed=seed)
        atoms.set_cell(atoms.cell.array * (1 + 0.01 * seed), scale_atoms=True)
        atoms.calc = EMT()
        results = {name: atoms.calc.get_property(name, atoms) for name in ("energy", "forces", "stress")}
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    return frames


@pytest.mark.parametrize(
    "write, name",
    [
        (write_xyz, "t.extxyz"),
        (write_db, "t.db"),
        (write_db, "t.json"),
        (write_traj, "t.traj"),
        (write_npz, "t.npz"),
    ],
)
def test_all_formats_hold_the_same(write, name: str, metals: list[Atoms], tmp_path: Path) -> None:
    frames = frames_of(write(tmp_path / name, metals))
    assert len(frames) == 5
    for frame, atoms in zip(frames, metals, strict=True):
        assert frame.numbers.tolist() == [29] * 8
        assert np.broadcast_to(frame.pbc, 3).all()
        # ASE writes positions and forces to XYZ with 8 digits after the point
        np.testing.assert_allclose(frame.positions, atoms.positions, atol=1e-8)
        np.testing.assert_allclose(frame.cell, atoms.cell.array, rtol=1e-14)
        np.testing.assert_allclose(frame.values["forces"], atoms.get_forces(), atol=1e-8)
        assert float(frame.values["energy"]) == atoms.get_potential_energy()
        np.testing.assert_allclose(frame.values["stress"], atoms.get_stress(), rtol=1e-12)


def test_extended_xyz(tmp_path: Path) -> None:
    (tmp_path / "t.xyz").write_text(CO)
    (frame,) = frames_of(tmp_path / "t.xyz")
    assert frame.numbers.tolist() == [6, 8]
    assert frame.positions.tolist() == [[0, 0, 0], [0, 0, 1.1]]
    assert frame.cell.tolist() == [[4, 0, 0], [0, 5, 0], [1, 0, 6]]
    assert list(frame.pbc) == [True, True, False]
    assert frame.values["REF_energy"] == -1.5 and frame.values["tag"] == "a"
    assert frame.values["REF_forces"].tolist() == [[1, 2, 3], [-1, -2, -3]]


def test_packed_files(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "t.xyz.gz", "wt") as file:
        file.write(CO * 3)
    assert len(frames_of(tmp_path / "t.xyz.gz")) == 3
    data = (tmp_path / "t.xyz.gz").read_bytes()
    (tmp_path / "cut.xyz.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(ConfigError, match=r"cannot read '.*cut\.xyz\.gz': "):
        frames_of(tmp_path / "cut.xyz.gz")


@pytest.mark.parametrize(
    "text, reasons",
    [
        (CO + "\n\n" + CO, ["", ""]),
        (CO + CO[:-30], ["", "the file ends after 1 of 2 atoms"]),
        (CO + "3\n", ["", "the file ends after 0 of 3 atoms"]),
        (CO + "two\n" + CO, ["", "a number of atoms expected, found 'two'; the rest of the file is left out"]),
        (CO + "-2\n", ["", "a number of atoms expected, found '-2'; the rest of the file is left out"]),
        (CO.replace("O 0 0 1.1", "Oo 0 0 1.1") + CO, ["unknown element 'Oo'", ""]),
        (CO.replace(" -2 -3", " -2") + CO, ["not extended XYZ: ", ""]),
        (CO.replace(" 1.1", " x") + CO, ["not extended XYZ: ", ""]),
        ("", []),
    ],
)
def test_malformed_frames_are_told_apart(text: str, reasons: list[str], tmp_path: Path) -> None:
    (tmp_path / "t.xyz").write_text(text)
    found = reasons_of(tmp_path / "t.xyz")
    assert len(found) == len(reasons)
    assert all(reason.startswith(start) and bool(reason) == bool(start) for reason, start in zip(found, reasons))


def archive(path: Path, **arrays: object) -> Path:
    """Four frames of water by default."""
    default = {"R": np.random.default_rng(0).random((4, 3, 3)), "Z": np.array([8, 1, 1]), "E": np.arange(4.0)}
    np.savez(path, **{name: array for name, array in {**default, **arrays}.items() if array is not None})
    return path


def test_archives_of_molecular_dynamics(tmp_path: Path) -> None:
    box, forces = 9.0 + np.arange(12).reshape(4, 3), np.ones((4, 3, 3))
    frames = frames_of(archive(tmp_path / "t.npz", box=box, F=forces, system=np.array(["a", "b", "a", "c"])))
    assert [float(frame.values["E"]) for frame in frames] == [0, 1, 2, 3]
    assert [str(frame.values["system"]) for frame in frames] == ["a", "b", "a", "c"]
    assert frames[2].cell.tolist() == np.diag([15, 16, 17]).tolist()
    assert "Z" not in frames[0].values


@pytest.mark.parametrize(
    "cell, expected",
    [
        (np.array([4.0, 5, 6]), np.diag([4.0, 5, 6])),
        (np.arange(36.0).reshape(4, 3, 3) + 9 * np.eye(3), np.arange(9, 18).reshape(3, 3) + 9 * np.eye(3)),
        (np.arange(36.0).reshape(4, 9), np.arange(9.0, 18).reshape(3, 3)),
        (np.arange(9.0).reshape(3, 3), np.arange(9.0).reshape(3, 3)),
    ],
)
def test_shapes_of_cells(cell: np.ndarray, expected: np.ndarray, tmp_path: Path) -> None:
    frame = frames_of(archive(tmp_path / "t.npz", cell=cell))[1]
    np.testing.assert_array_equal(frame.cell, expected)
    assert frame.pbc is True


def test_periodicity_of_archives(tmp_path: Path) -> None:
    assert frames_of(archive(tmp_path / "a.npz"))[0].pbc is False
    assert frames_of(archive(tmp_path / "b.npz", cell=np.zeros((4, 3, 3))))[0].pbc is False
    frame = frames_of(archive(tmp_path / "c.npz", cell=np.ones(3), pbc=np.array([1, 0, 1])))[0]
    assert list(frame.pbc) == [1, 0, 1]
    each = frames_of(archive(tmp_path / "d.npz", cell=np.ones(3), pbc=np.array([True, False, True, False])))
    assert [list(np.broadcast_to(frame.pbc, 3)) for frame in each] == [[True] * 3, [False] * 3] * 2


@pytest.mark.parametrize("symbols", [np.array(["O", "H", "H"]), np.array([["O", "H", "H"]] * 4, "S2")])
def test_archives_with_symbols(symbols: np.ndarray, tmp_path: Path) -> None:
    frames = frames_of(archive(tmp_path / "t.npz", Z=None, elements=symbols))
    assert [frame.numbers.tolist() for frame in frames] == [[8, 1, 1]] * 4


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"R": None}, "one array of positions expected, found none of positions, R, "),
        ({"coords": np.zeros((4, 3, 3))}, "one array of positions expected, found R and coords"),
        ({"Z": np.array(["O", "Hx", "H"])}, r"unknown element 'Hx'; did you mean 'H"),
        ({"R": np.zeros((3, 9))}, r"positions have shape \(3, 9\), expected \(frames, atoms, 3\)"),
        ({"Z": np.array([1, 2])}, r"numbers have shape \(2,\), expected \(3,\) or \(4, 3\)"),
        ({"cell": np.ones((2, 3, 3))}, r"cell has shape \(2, 3, 3\)"),
        ({"R": np.zeros((3, 3, 3)), "cell": np.ones((3, 3))}, "for 3 frames is ambiguous"),
        ({"Z": np.array([None, None, None])}, "object arrays are not read, since they may hold any code"),
    ],
)
def test_archives_that_cannot_be_read(arrays: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"t\.npz'.*{message}"):
        frames_of(archive(tmp_path / "t.npz", **arrays))


@pytest.mark.parametrize("name", ["t.db", "t.json", "t.traj", "t.npz"])
def test_files_of_something_else(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("Lorem ipsum dolor sit amet\n" * 9)
    with pytest.raises(ConfigError, match=f"cannot read '.*{name}'"):
        frames_of(tmp_path / name)


def test_values_of_databases(tmp_path: Path) -> None:
    with ase.db.connect(tmp_path / "t.db") as database:
        database.write(ethanols()[0], split="val", data={"dft_forces": np.ones((9, 3))})
    (frame,) = frames_of(tmp_path / "t.db")
    assert frame.values["split"] == "val"
    assert np.asarray(frame.values["dft_forces"]).shape == (9, 3)


def test_formats_by_name(tmp_path: Path) -> None:
    assert [frame_format(name) for name in ("a.xyz", "b.XYZ.gz", "c.npz", "d.db", "e", "f.csv")] == [
        "extxyz", "extxyz", "npz", "ase", None, None
    ]  # fmt: skip
    (tmp_path / "frames.txt").write_text(CO)
    with pytest.raises(ConfigError, match=r"cannot tell the format of '.*frames\.txt' by its name; known are \.xyz"):
        frames_of(tmp_path / "frames.txt")
    assert len(frames_of(tmp_path / "frames.txt", "extxyz")) == 1


def test_shipped_silicon_is_what_ase_reads() -> None:
    frames = frames_of(ROOT / "datasets/silicon/Si_test.xyz.gz")
    for frame, atoms in zip(frames, silicons(), strict=True):
        np.testing.assert_array_equal(frame.positions, atoms.positions)
        np.testing.assert_array_equal(frame.values["ref_forces"], atoms.arrays["ref_forces"])
