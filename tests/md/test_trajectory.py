"""Trajectory files: written, cut back, appended to, read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import iread, write

from hydrasurr.errors import ConfigError, HydrasurrError, StructureError
from hydrasurr.graphs.systems import Systems
from hydrasurr.md.frame import Frame, each_system, paths
from hydrasurr.md.trajectory import DcdWriter, XyzWriter, read_trajectory

SLANTED = [[9.0, 0, 0], [2.0, 8.0, 0], [-1.0, 1.5, 10.0]]


def _frames(count: int, cell: object = SLANTED, atoms: int = 7, interval: int = 5) -> list[Frame]:
    """Frames with all there can be, of atoms that leave the cell."""
    generator = np.random.default_rng(0)
    numbers = generator.integers(1, 90, atoms)
    walk = generator.normal(size=(count, atoms, 3)).cumsum(0) * 5
    stress = generator.normal(size=(3, 3))
    return [
        Frame(
            k * interval,
            k * interval * 0.002,
            Systems.single(numbers, walk[k], cell, cell is not None),
            generator.normal(size=(atoms, 3)) * 0.01,
            generator.normal(size=(atoms, 3)),
            float(generator.normal()),
            stress + stress.T if cell is not None else None,
        )
        for k in range(count)
    ]


def _assert_same(read: Frame, written: Frame, digits: float) -> None:
    assert read.step == written.step and read.time_ps == pytest.approx(written.time_ps, rel=1e-6)
    assert np.array_equal(read.systems.numbers, written.systems.numbers)
    assert np.array_equal(read.systems.pbc, written.systems.pbc)
    assert np.allclose(read.systems.positions, written.systems.positions, rtol=0, atol=digits)
    assert np.allclose(read.systems.cell, written.systems.cell, rtol=0, atol=digits)


@pytest.mark.parametrize("cell", [SLANTED, None])
def test_extended_xyz(cell: list | None, tmp_path: Path) -> None:
    path, frames = tmp_path / "t.extxyz", _frames(6, cell)
    writer = XyzWriter(path, velocities=True, forces=True)
    for frame in frames[:3]:
        writer.write(frame)
    keep = writer.mark()
    assert keep == path.stat().st_size
    writer.write(frames[5])  # what a crash may leave after the restart
    writer.close()
    writer = XyzWriter(path, keep, velocities=True, forces=True)
    for frame in frames[3:]:
        writer.write(frame)
    writer.close()
    found = list(read_trajectory(path))
    assert len(found) == 6
    for read, written in zip(found, frames, strict=True):
        _assert_same(read, written, 1e-7)
        assert np.allclose(read.velocities, written.velocities, atol=1e-8)
        assert np.allclose(read.forces, written.forces, atol=1e-7)
        assert read.energy == pytest.approx(written.energy)
        if cell:
            assert np.allclose(read.stress, written.stress)
            assert read.pressure_bar == pytest.approx(written.pressure_bar, rel=1e-5)
        else:
            assert read.stress is None and read.pressure_bar is None


def test_columns_are_written_on_request(tmp_path: Path) -> None:
    (frame,) = _frames(1)
    for velocities, forces in ((False, False), (True, False), (False, True)):
        writer = XyzWriter(tmp_path / "t.extxyz", velocities=velocities, forces=forces)
        writer.write(frame)
        writer.close()
        (read,) = read_trajectory(tmp_path / "t.extxyz")
        assert (read.velocities is not None, read.forces is not None) == (velocities, forces)
        assert read.energy is not None


@pytest.mark.parametrize("cell", [SLANTED, None])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_dcd(cell: list | None, tmp_path: Path) -> None:
    """Cut back and appended to; read here and by the reader of MDAnalysis."""
    from MDAnalysis.coordinates.DCD import DCDReader

    path, frames = tmp_path / "t.dcd", _frames(6, cell)
    write(tmp_path / "structure.extxyz", frames[0].to_ase())
    writer = DcdWriter(path, frames[0].systems, 2.0, 5)
    for frame in frames[:3]:
        writer.write(frame)
    keep = writer.mark()
    writer.write(frames[5])
    del writer  # a crash: nothing is closed
    writer = DcdWriter(path, frames[0].systems, 2.0, 5, keep)
    for frame in frames[3:]:
        writer.write(frame)
    assert keep == 3 and writer.mark() == 6
    writer.close()
    found = list(read_trajectory(path))
    assert len(found) == 6 and not list(tmp_path.glob("*.new"))
    for read, written in zip(found, frames, strict=True):
        _assert_same(read, written, 1e-4)
    theirs = DCDReader(str(path))
    assert theirs.n_frames == 6
    for step, written in zip(theirs, frames, strict=True):
        assert step.time == pytest.approx(written.time_ps, rel=1e-5)
        assert np.allclose(step.positions, written.systems.positions, atol=1e-4)
        if cell:
            assert np.allclose(step.dimensions, Atoms(cell=cell).cell.cellpar(), atol=1e-3)


def test_a_dcd_of_another_program(tmp_path: Path) -> None:
    """X-PLOR wrote angles in degrees, not cosines."""
    from MDAnalysis.lib.formats.libdcd import DCDFile

    (frame,) = _frames(1)
    a, b, c, alpha, beta, gamma = Atoms(cell=SLANTED).cell.cellpar()
    with DCDFile(str(tmp_path / "t.dcd"), "w") as file:
        file.write_header(remarks="", natoms=7, istart=0, nsavc=1, delta=1.0, is_periodic=1)
        file.write(frame.systems.positions.astype(np.float32), [a, gamma, b, beta, alpha, c])
    write(tmp_path / "other.xyz", frame.to_ase(), format="extxyz")
    (read,) = read_trajectory(tmp_path / "t.dcd", tmp_path / "other.xyz")
    assert np.allclose(read.systems.cell[0], SLANTED, atol=1e-4)


def test_what_a_dcd_cannot_hold_is_refused(tmp_path: Path) -> None:
    primitive = Systems.from_ase(bulk("Ar", "fcc", a=5.3))  # no vector along x
    with pytest.raises(ConfigError, match="cannot tell how this cell is turned"):
        DcdWriter(tmp_path / "t.dcd", primitive, 2.0, 5)
    assert not list(tmp_path.iterdir())


def test_unreadable_trajectories(tmp_path: Path) -> None:
    with pytest.raises(HydrasurrError, match="no trajectory 'nothing.xyz'"):
        list(read_trajectory("nothing.xyz"))
    (tmp_path / "t.extxyz").write_text("5\nonly a comment\nAr 0 0 0\n")
    with pytest.raises(HydrasurrError, match=r"cannot read the trajectory '.*t.extxyz'"):
        list(read_trajectory(tmp_path / "t.extxyz"))
    for name, text in {"t.unknown": "text\n", "empty.extxyz": "", "t.dcd": "short"}.items():
        (tmp_path / name).write_text(text)
        write(tmp_path / "structure.extxyz", Atoms("Ar"))
        with pytest.raises(HydrasurrError, match=f"cannot read the trajectory '.*{name}'"):
            list(read_trajectory(tmp_path / name))
    (tmp_path / "structure.extxyz").unlink()
    (frame,) = _frames(1)
    writer = DcdWriter(tmp_path / "t.dcd", frame.systems, 2.0, 5)
    writer.write(frame)
    writer.close()
    with pytest.raises(HydrasurrError, match=r"does not tell the elements, and there is no '.*structure.extxyz'"):
        list(read_trajectory(tmp_path / "t.dcd"))
    write(tmp_path / "structure.extxyz", frame.to_ase()[:3])
    with pytest.raises(StructureError, match="has 7 atoms, and .* has 3"):
        list(read_trajectory(tmp_path / "t.dcd"))


def test_frames_of_ase(tmp_path: Path) -> None:
    frames = _frames(3)
    write(tmp_path / "t.traj", [frame.to_ase() for frame in frames])
    for atoms, frame in zip(iread(tmp_path / "t.traj", ":"), read_trajectory(tmp_path / "t.traj"), strict=True):
        assert np.array_equal(frame.systems.positions, atoms.positions)
    systems = [*each_system(frames)]
    assert len(systems) == 3 and len([*each_system([frames[0].systems, frames[1].to_ase(), frames[2]])]) == 3
    positions, spacing = paths(frames)
    assert positions.shape == (3, 7, 3) and spacing == pytest.approx(0.01)
    with pytest.raises(StructureError, match="equal distances in time"):
        paths([frames[0], frames[2], frames[1]])
    with pytest.raises(StructureError, match="at least two frames"):
        paths(frames[:1])
